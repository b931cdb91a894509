/* Parses headers one behind the other, each behind a bounds check, as XDP programs do. */
#ifndef PARSING_H
#define PARSING_H

#include <stddef.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/icmp.h>
#include <linux/icmpv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>

#define VLAN_MAX_DEPTH 2
#define VLAN_VID_MASK 0x0fff

struct cursor {
	void *at;
};

struct vlan_hdr {
	__be16 tci;
	__be16 inner;
};

static __always_inline int is_vlan(__u16 proto)
{
	return proto == bpf_htons(ETH_P_8021Q) || proto == bpf_htons(ETH_P_8021AD);
}

static __always_inline int parse_eth(struct cursor *cursor, void *end, struct ethhdr **found)
{
	struct ethhdr *eth = cursor->at;
	struct vlan_hdr *vlan;
	__u16 proto;

	if ((void *)(eth + 1) > end)
		return -1;
	*found = eth;
	vlan = (struct vlan_hdr *)(eth + 1);
	proto = eth->h_proto;
#pragma unroll
	for (int depth = 0; depth < VLAN_MAX_DEPTH; depth++) {
		if (!is_vlan(proto))
			break;
		if ((void *)(vlan + 1) > end)
			break;
		proto = vlan->inner;
		vlan++;
	}
	cursor->at = vlan;
	return proto;
}

static __always_inline int parse_ip(struct cursor *cursor, void *end, struct iphdr **found)
{
	struct iphdr *ip = cursor->at;
	int size;

	if ((void *)(ip + 1) > end)
		return -1;
	size = ip->ihl * 4;
	if (size < (int)sizeof(*ip) || cursor->at + size > end)
		return -1;
	cursor->at += size;
	*found = ip;
	return ip->protocol;
}

static __always_inline int parse_ipv6(struct cursor *cursor, void *end, struct ipv6hdr **found)
{
	struct ipv6hdr *ip = cursor->at;

	if ((void *)(ip + 1) > end)
		return -1;
	cursor->at = ip + 1;
	*found = ip;
	return ip->nexthdr;
}

#endif
