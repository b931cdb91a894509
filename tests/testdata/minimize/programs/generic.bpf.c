#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#define KIND(x) _Generic((x), struct sock *: 1, struct sk_buff *: 2, struct net_device **: 3, default: 0)
struct net_device *dev[1];
SEC("tp_btf/x") int f(u64 *c) { struct sk_buff *s = (void *)c[0]; return KIND(s) + KIND(s->sk) + KIND(&dev[0]) + KIND(s->dev); }
char LICENSE[] SEC("license") = "GPL";
