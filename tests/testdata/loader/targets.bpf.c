/* Programs whose sections name what isn't there, or that read what isn't. */
#include "mini_bpf.h"

char LICENSE[] SEC("license") = "GPL";

SEC("?uprobe/libc.so.6:maloc")
int on_maloc(void *ctx)
{
	return 0;
}

__u64 read;

SEC("?raw_tp/sys_enter")
int beyond_arguments(__u64 *ctx)
{
	read = ctx[5];
	return 0;
}

SEC("?tp/syscalls/sys_exit_munmap")
int beyond_record(__u64 *ctx)
{
	read = ctx[5];
	return 0;
}

SEC("?tp/sched/sched_process_exit")
int beyond_event(__u64 *ctx)
{
	read = ctx[40];
	return 0;
}
