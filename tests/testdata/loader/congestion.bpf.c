/* A congestion control of TCP, as struct_ops. */
#include "mini_bpf.h"

char LICENSE[] SEC("license") = "GPL";

__u64 acknowledged;

struct sock;

struct tcp_congestion_ops {
	__u32 (*ssthresh)(struct sock *sk);
	void (*cong_avoid)(struct sock *sk, __u32 ack, __u32 acked);
	__u32 (*undo_cwnd)(struct sock *sk);
	char name[16];
};

SEC("struct_ops/slow_threshold")
__u32 slow_threshold(__u64 *ctx)
{
	return 10;
}

SEC("struct_ops/avoid")
int avoid(__u64 *ctx)
{
	__atomic_fetch_add(&acknowledged, 1, __ATOMIC_RELAXED);
	return 0;
}

SEC("struct_ops/undo")
__u32 undo(__u64 *ctx)
{
	return 10;
}

#ifndef OPS_SECTION
#define OPS_SECTION ".struct_ops"
#endif
SEC(OPS_SECTION)
struct tcp_congestion_ops counting = {
	.ssthresh = (void *)slow_threshold,
	.cong_avoid = (void *)avoid,
	.undo_cwnd = (void *)undo,
	.name = "bpf_counting",
};
