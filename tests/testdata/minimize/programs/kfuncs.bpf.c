#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
struct dynp { struct bpf_dynptr d; };
SEC("tc") int f(struct __sk_buff *s) { struct bpf_dynptr d; if (bpf_dynptr_from_skb(s, 0, &d)) return 0; struct ethhdr e, *p = bpf_dynptr_slice(&d, 0, &e, sizeof(e)); return p ? p->h_proto : 1; }
char LICENSE[] SEC("license") = "GPL";
