#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
struct outer { struct { struct iphdr; union { struct in6_addr; struct { struct in_addr; u32 k; }; }; }; u8 last; };
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 2); __type(key, struct outer); __type(value, struct { struct tcphdr; struct outer o[2]; }); } m SEC(".maps");
SEC("tc") int f(void *c) { struct outer o = {}; o.ttl = 3; return bpf_map_lookup_elem(&m, &o) != 0; }
char LICENSE[] SEC("license") = "GPL";
