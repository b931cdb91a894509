#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
struct inner { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, u32); __type(value, struct bpf_perf_event_value); } in SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS); __uint(max_entries, 1); __type(key, u32); __array(values, struct inner); } outer SEC(".maps") = { .values = { &in } };
SEC("tc") int f(void *c) { u32 k = 0; return bpf_map_lookup_elem(&outer, &k) != 0; }
char LICENSE[] SEC("license") = "GPL";
