#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include "shared.h"

char LICENSE[] SEC("license") = "GPL";

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, LIMIT);
	__type(key, __u32);
	__type(value, __u64);
} counts SEC(".maps");

SEC("raw_tp/sys_enter")
int one(void *ctx)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	__u32 slot = task->pid % LIMIT;
	__u64 *count = bpf_map_lookup_elem(&counts, &slot);

	if (count)
		__atomic_fetch_add(count, 1, __ATOMIC_RELAXED);
	return 0;
}
