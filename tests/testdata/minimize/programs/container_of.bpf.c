#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#define container_of_(p, t, m) ((t *)((char *)(p) - __builtin_offsetof(t, m)))
SEC("tp_btf/x") int f(u64 *c) { struct list_head *l = (void *)c[0]; return container_of_(l, struct task_struct, tasks)->tgid; }
char LICENSE[] SEC("license") = "GPL";
