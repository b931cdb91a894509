#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
__noinline int a(struct task_struct *t) { return t != 0; }
__noinline int b(struct bpf_sock_tuple *t) { return t ? t->ipv4.saddr : 0; }
__noinline int d(const struct in6_addr *x, struct sk_buff **y) { return x ? x->in6_u.u6_addr32[0] : y != 0; }
SEC("tc") int f(void *c) { struct bpf_sock_tuple t = {}; struct in6_addr x = {}; return a(0) + b(&t) + d(&x, 0); }
char LICENSE[] SEC("license") = "GPL";
