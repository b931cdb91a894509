#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";
const volatile __u32 answer = 42;

SEC("raw_tp/sys_exit")
int three(void *ctx)
{
	return answer;
}
