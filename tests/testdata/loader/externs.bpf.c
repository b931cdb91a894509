/* What an object takes from the kernel: functions, a variable, its configuration. It is read by the tests, not loaded. */
#include "mini_bpf.h"

#define FROM(section_name) __attribute__((section(section_name), weak))

extern int bpf_iter_num_new(void *it, int start, int end) FROM(".ksyms");
extern void bpf_rcu_read_lock(void) FROM(".ksyms");
extern const int runqueues FROM(".ksyms");
extern int CONFIG_HZ FROM(".kconfig");

char LICENSE[] SEC("license") = "GPL";

SEC("tp_btf/sys_enter")
int locks(void *ctx)
{
	bpf_rcu_read_lock();
	return CONFIG_HZ + (long)&runqueues;
}

SEC("tc")
int counts(void *ctx)
{
	__u64 iterator;
	return bpf_iter_num_new ? bpf_iter_num_new(&iterator, 1, 2) : 0;
}
