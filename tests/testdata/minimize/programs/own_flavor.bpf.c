#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
struct task_struct___old { long state; } __attribute__((preserve_access_index));
SEC("tp_btf/x") int f(u64 *c) { struct task_struct *t = (void *)c[0]; if (bpf_core_field_exists(t->__state)) return BPF_CORE_READ(t, __state); return BPF_CORE_READ((struct task_struct___old *)t, state); }
char LICENSE[] SEC("license") = "GPL";
