#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
struct pair { struct sock *sk; int n; };
struct pair table[2] = { { n: 1 }, [1] = { n: 2, sk: 0 } };
SEC("tp_btf/x") int f(u64 *c) { struct sock *s = table[1].sk; return s ? BPF_CORE_READ(s, __sk_common.skc_family) : table[0].n; }
char LICENSE[] SEC("license") = "GPL";
