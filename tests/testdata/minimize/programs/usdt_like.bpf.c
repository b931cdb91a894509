#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 4096); } rb SEC(".maps");
struct event { u32 pid; char comm[TASK_COMM_LEN]; struct bpf_stack_build_id ids[2]; enum sk_action a; } _e;
struct event *unused_event __attribute__((unused));
SEC("tp/syscalls/sys_enter_openat") int f(struct trace_event_raw_sys_enter *x) { struct event *e = bpf_ringbuf_reserve(&rb, sizeof(*e), 0); if (!e) return 0; e->pid = bpf_get_current_pid_tgid() >> 32; bpf_get_current_comm(e->comm, sizeof(e->comm)); e->a = x->args[0] ? SK_PASS : SK_DROP; bpf_ringbuf_submit(e, 0); return 0; }
char LICENSE[] SEC("license") = "GPL";
