#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
SEC("struct_ops/ssthresh") __u32 BPF_PROG(ss, struct sock *sk) { return 2; }
SEC("struct_ops/avoid") void BPF_PROG(av, struct sock *sk, __u32 ack, __u32 acked) { }
SEC("struct_ops/undo") __u32 BPF_PROG(un, struct sock *sk) { return 3; }
SEC(".struct_ops") struct tcp_congestion_ops ops = { .ssthresh = (void *)ss, .cong_avoid = (void *)av, .undo_cwnd = (void *)un, .name = "mine" };
char LICENSE[] SEC("license") = "GPL";
