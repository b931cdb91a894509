#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
struct { __uint(type, BPF_MAP_TYPE_TASK_STORAGE); __uint(map_flags, BPF_F_NO_PREALLOC); __type(key, int); __type(value, struct bpf_pidns_info); } st SEC(".maps");
SEC("tp_btf/sched_switch") int BPF_PROG(f, bool preempt, struct task_struct *prev, struct task_struct *next) { struct bpf_pidns_info *i = bpf_task_storage_get(&st, next, 0, BPF_LOCAL_STORAGE_GET_F_CREATE); if (i) i->pid = prev->pid; return 0; }
char LICENSE[] SEC("license") = "GPL";
