/* A program of each kind that BPF_PROG_TEST_RUN takes, each of which reads its context or packet and changes it. */
#include "mini_bpf.h"

char LICENSE[] SEC("license") = "GPL";

struct xdp_md {
	__u32 data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex;
};

struct __sk_buff {
	__u32 len, pkt_type, mark, queue_mapping, protocol, vlan_present, vlan_tci, vlan_proto, priority, ingress_ifindex,
		ifindex, tc_index, cb[5], hash, tc_classid, data, data_end;
};

struct bpf_sk_lookup {
	__u64 sk;
	__u32 family, protocol, remote_ip4, remote_ip6[4];
	__u32 remote_port; /* 16 bits in network byte order, then zeros */
	__u32 local_ip4, local_ip6[4], local_port, ingress_ifindex;
};

struct sum {
	__u32 left, right, result;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4);
	__uint(pinning, 1); /* by name */
	__type(key, __u32);
	__type(value, __u32);
} kept SEC(".maps");

__u64 first_argument, second_argument;
struct sum last;
__u32 queue, interface, metadata, remote, port;

static long (*bpf_xdp_adjust_tail)(struct xdp_md *xdp, int delta) = (void *)65;

/* Drops a packet whose first byte is 0xff, and lengthens any other one by 4 bytes. */
SEC("?xdp")
int on_xdp(struct xdp_md *xdp)
{
	unsigned char *start = (void *)(long)xdp->data, *end = (void *)(long)xdp->data_end;
	__u32 zero = 0;

	queue = xdp->rx_queue_index;
	interface = xdp->ingress_ifindex;
	metadata = xdp->data - xdp->data_meta;
	bpf_map_update_elem(&kept, &zero, &queue, 0);
	if (start + 1 > end)
		return 0;
	if (*start == 0xff)
		return 1;
	bpf_xdp_adjust_tail(xdp, 4);
	return 2;
}

SEC("?tc")
int on_tc(struct __sk_buff *skb)
{
	unsigned char *start = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;

	interface = skb->ifindex;
	skb->mark += 1;
	skb->priority = skb->cb[0];
	if (start + 1 > end)
		return 2;
	*start = 0xaa;
	return -1;
}

SEC("?socket")
int on_socket(struct __sk_buff *skb)
{
	return skb->len - skb->cb[0];
}

SEC("?cgroup_skb/egress")
int on_cgroup_skb(struct __sk_buff *skb)
{
	return skb->mark == 7;
}

SEC("?raw_tp/sys_enter")
int on_raw_tp(__u64 *arguments)
{
	first_argument = arguments[0];
	second_argument = arguments[1];
	return -5;
}

SEC("?syscall")
int on_syscall(struct sum *sum)
{
	sum->result = sum->left + sum->right;
	last = *sum;
	return sum->result > 100 ? -1 : 0;
}

SEC("?sk_lookup")
int on_sk_lookup(struct bpf_sk_lookup *lookup)
{
	remote = lookup->remote_ip4;
	port = lookup->local_port;
	return lookup->protocol == 6;
}

SEC("?perf_event")
int on_sample(void *ctx)
{
	return 0;
}

/* What the verifier refuses on any kernel. */
SEC("?xdp")
int on_nothing(struct xdp_md *xdp)
{
	return *(unsigned char *)(long)xdp->data;
}
