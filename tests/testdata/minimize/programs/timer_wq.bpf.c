#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
struct e { struct bpf_timer t; struct bpf_wq w; struct bpf_spin_lock l; u64 n; };
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, int); __type(value, struct e); } m SEC(".maps");
static int cb(void *map, int *k, struct bpf_timer *t) { return 0; }
SEC("tc") int f(void *c) { int k = 0; struct e *v = bpf_map_lookup_elem(&m, &k); if (v) { bpf_timer_init(&v->t, &m, 1); bpf_timer_set_callback(&v->t, cb); } return 0; }
char LICENSE[] SEC("license") = "GPL";
