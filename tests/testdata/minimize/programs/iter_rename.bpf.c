#define bpf_iter__task bpf_iter__task___not_used
#define bpf_iter_meta bpf_iter_meta___not_used
#include "vmlinux.h"
#undef bpf_iter__task
#undef bpf_iter_meta
#include <bpf/bpf_helpers.h>
struct bpf_iter_meta { struct seq_file *seq; u64 session_id; u64 seq_num; } __attribute__((preserve_access_index));
struct bpf_iter__task { struct bpf_iter_meta *meta; struct task_struct *task; } __attribute__((preserve_access_index));
SEC("iter/task") int f(struct bpf_iter__task *c) { struct seq_file *s = c->meta->seq; struct task_struct *t = c->task; if (t) bpf_seq_write(s, &t->pid, 4); return 0; }
char LICENSE[] SEC("license") = "GPL";
