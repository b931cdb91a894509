#define BPF_NO_PRESERVE_ACCESS_INDEX
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
SEC("tp_btf/x") int f(u64 *c) { struct task_struct *t = (void *)c[0]; return t->mm->pgd != 0; }
char LICENSE[] SEC("license") = "GPL";
