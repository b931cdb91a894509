#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
int s[] = { sizeof(atomic_t), sizeof(spinlock_t), sizeof(struct sk_buff_head), sizeof(kuid_t), sizeof(ktime_t), sizeof(((struct sock *)0)->sk_lock), sizeof(gfp_t) };
SEC("tc") int f(void *c) { return s[1]; }
char LICENSE[] SEC("license") = "GPL";
