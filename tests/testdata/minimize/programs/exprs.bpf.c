#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
SEC("tp_btf/x") int f(u64 *c) { struct task_struct *t = (void *)c[0]; return ((struct task_struct *)(t -> group_leader))
 ->
 signal
 -> nr_threads + (*t).pid + (&t->se)->vruntime + (t->comm)[2] + 0[t->comm] + (c[1] ? t : t->parent)->tgid; }
char LICENSE[] SEC("license") = "GPL";
