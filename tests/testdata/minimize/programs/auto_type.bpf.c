#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
SEC("tp_btf/x") int f(u64 *c) { struct task_struct *t = (void *)c[0]; __auto_type r = t->real_parent; __auto_type s = r->signal; return s->nr_threads; }
char LICENSE[] SEC("license") = "GPL";
