/* XDP in the style of a tutorial: counts per action, drops every second echo request. */
#include <linux/bpf.h>
#include <linux/in.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>

#include "common/parsing.h"
#include "common/stats.h"

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct datarec);
	__uint(max_entries, XDP_ACTION_MAX);
} xdp_stats_map SEC(".maps");

static __always_inline __u32 record(struct xdp_md *ctx, __u32 action)
{
	struct datarec *rec;

	if (action >= XDP_ACTION_MAX)
		return XDP_ABORTED;
	rec = bpf_map_lookup_elem(&xdp_stats_map, &action);
	if (!rec)
		return XDP_ABORTED;
	rec->rx_packets++;
	rec->rx_bytes += ctx->data_end - ctx->data;
	return action;
}

SEC("xdp")
int xdp_parser_func(struct xdp_md *ctx)
{
	void *end = (void *)(long)ctx->data_end;
	struct cursor cursor = { .at = (void *)(long)ctx->data };
	__u32 action = XDP_PASS;
	struct icmp6hdr *icmp6;
	struct icmphdr *icmp;
	struct ipv6hdr *ipv6;
	struct ethhdr *eth;
	struct iphdr *ip;
	int type;

	type = parse_eth(&cursor, end, &eth);
	if (type == bpf_htons(ETH_P_IP)) {
		if (parse_ip(&cursor, end, &ip) != IPPROTO_ICMP)
			goto out;
		icmp = cursor.at;
		if ((void *)(icmp + 1) > end)
			goto out;
		if (icmp->type == ICMP_ECHO && bpf_ntohs(icmp->un.echo.sequence) % 2 == 0)
			action = XDP_DROP;
	} else if (type == bpf_htons(ETH_P_IPV6)) {
		if (parse_ipv6(&cursor, end, &ipv6) != IPPROTO_ICMPV6)
			goto out;
		icmp6 = cursor.at;
		if ((void *)(icmp6 + 1) > end)
			goto out;
		if (icmp6->icmp6_type == ICMPV6_ECHO_REQUEST && bpf_ntohs(icmp6->icmp6_sequence) % 2 == 0)
			action = XDP_DROP;
	}
out:
	return record(ctx, action);
}

char _license[] SEC("license") = "GPL";
