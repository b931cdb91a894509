#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
static __noinline int old(a, b) struct sk_buff *a; struct net_device **b; { return a->len + (b == 0); }
SEC("tp_btf/x") int f(u64 *c) { return old((void *)c[0], (void *)c[1]); }
char LICENSE[] SEC("license") = "GPL";
