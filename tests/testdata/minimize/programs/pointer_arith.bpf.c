#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
SEC("xdp") int f(struct xdp_md *x) { void *d = (void *)(long)x->data, *e = (void *)(long)x->data_end; struct ethhdr *h = d; if ((void *)(h + 1) > e) return 0; struct iphdr *i = (void *)(h + 1); if ((void *)(i + 1) > e) return 1; struct tcphdr *t = (void *)i + i->ihl * 4; if ((void *)(t + 1) > e) return 2; return t->syn + t->dest; }
char LICENSE[] SEC("license") = "GPL";
