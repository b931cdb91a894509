#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
int e[] = { BPF_F_CURRENT_CPU, TCP_ESTABLISHED, SOCK_STREAM, BPF_ANY, PIDTYPE_SID, HRTIMER_NORESTART };
SEC("tc") int f(void *c) { return bpf_core_enum_value(enum bpf_func_id, BPF_FUNC_ringbuf_output) + bpf_core_enum_value_exists(enum bpf_map_type, BPF_MAP_TYPE_ARENA) + e[0]; }
char LICENSE[] SEC("license") = "GPL";
