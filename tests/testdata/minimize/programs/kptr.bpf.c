#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
struct v { struct task_struct __kptr *t; struct cgroup __kptr *g; struct cpumask __kptr *m; };
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, int); __type(value, struct v); } m SEC(".maps");
SEC("tp_btf/task_newtask") int BPF_PROG(f, struct task_struct *t) { int k = 0; struct v *v = bpf_map_lookup_elem(&m, &k); if (!v) return 0; struct task_struct *a = bpf_task_acquire(t); if (!a) return 0; a = bpf_kptr_xchg(&v->t, a); if (a) bpf_task_release(a); return 0; }
char LICENSE[] SEC("license") = "GPL";
