#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#pragma pack(push, 1)
struct packed { char c; struct in6_addr; u64 n; };
#pragma pack(pop)
#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
struct reloc { struct sock *sk; int a; };
#pragma clang attribute pop
struct packed pk; int sz = sizeof(struct packed);
SEC("tp_btf/x") int f(u64 *c) { struct reloc *r = (void *)c[0]; return r->a + pk.n + (r->sk->sk_mark); }
char LICENSE[] SEC("license") = "GPL";
