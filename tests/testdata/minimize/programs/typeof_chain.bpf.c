#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
SEC("tp_btf/x") int f(u64 *c) { struct task_struct *t = (void *)c[0]; typeof(t->mm) m = t->mm; typeof(*m) *n = m; return n->pgd != 0; }
char LICENSE[] SEC("license") = "GPL";
