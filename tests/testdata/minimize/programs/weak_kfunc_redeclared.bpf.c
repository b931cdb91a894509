#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
extern struct task_struct *bpf_task_acquire(struct task_struct *p) __ksym __weak; extern void bpf_made_up(struct nsproxy *n, struct pid_namespace **q) __ksym __weak;
SEC("tp_btf/task_newtask") int BPF_PROG(f, struct task_struct *t) { if (bpf_ksym_exists(bpf_task_acquire)) { struct task_struct *a = bpf_task_acquire(t); if (a) bpf_task_release(a); } if (bpf_made_up) bpf_made_up(t->nsproxy, 0); return 0; }
char LICENSE[] SEC("license") = "GPL";
