#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
struct key { struct in6_addr a; union { __be32 v4; struct in6_addr; }; };
struct { __uint(type, BPF_MAP_TYPE_LRU_HASH); __uint(max_entries, 8); __type(key, struct key); __type(value, struct bpf_sock_tuple); } a SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 8); __type(key, struct pt_regs); __type(value, struct { struct sock *s; struct task_struct *t[2]; }); } b SEC(".maps");
SEC("tc") int f(void *c) { struct key k = {}; struct bpf_sock_tuple *t = bpf_map_lookup_elem(&a, &k); return t ? t->ipv4.sport : 0; }
char LICENSE[] SEC("license") = "GPL";
