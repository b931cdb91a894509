#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
int o[] = { __builtin_offsetof(struct sock, __sk_common.skc_daddr), __builtin_offsetof(struct sk_buff, cb[sizeof(struct iphdr)]), __builtin_offsetof(struct task_struct, se.load.weight) };
SEC("tc") int f(void *c) { return o[0]; }
char LICENSE[] SEC("license") = "GPL";
