#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
SEC("tp_btf/x") int f(u64 *c) { struct tcp_sock *t = (void *)c[0]; struct sk_buff *s = (void *)c[1]; return BPF_CORE_READ_BITFIELD(t, nonagle) + BPF_CORE_READ_BITFIELD_PROBED(s, pkt_type) + s->encapsulation + t->is_sack_reneg; }
char LICENSE[] SEC("license") = "GPL";
