/* TC: marks and rewrites, with the constants of pkt_cls.h and checksums patched by offsetof. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/if_tunnel.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define IP_CSUM_OFF (ETH_HLEN + offsetof(struct iphdr, check))
#define TOS_OFF (ETH_HLEN + offsetof(struct iphdr, tos))

struct flow {
	uint32_t saddr, daddr;
	uint16_t sport, dport;
	uint8_t proto;
	bool seen;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, struct flow);
	__type(value, uint64_t);
} flows SEC(".maps");

static __always_inline bool read_flow(struct __sk_buff *skb, struct flow *flow)
{
	void *data = (void *)(uintptr_t)skb->data, *end = (void *)(uintptr_t)skb->data_end;
	struct ethhdr *eth = data;
	struct iphdr *ip = (void *)(eth + 1);
	struct udphdr *udp;

	if ((void *)(ip + 1) > end || eth->h_proto != __constant_htons(ETH_P_IP) || ip->ihl != 5)
		return false;
	if (ip->protocol != IPPROTO_TCP && ip->protocol != IPPROTO_UDP)
		return false;
	udp = (void *)(ip + 1);
	if ((void *)(udp + 1) > end)
		return false;
	*flow = (struct flow){ ip->saddr, ip->daddr, udp->source, udp->dest, ip->protocol, true };
	return true;
}

SEC("tc")
int police(struct __sk_buff *skb)
{
	struct flow flow = {};
	uint64_t one = 1, *packets;
	__u8 old, tos = 8;

	if (skb->protocol != bpf_htons(ETH_P_IP) || !read_flow(skb, &flow))
		return TC_ACT_UNSPEC;
	packets = bpf_map_lookup_elem(&flows, &flow);
	if (packets)
		__sync_fetch_and_add(packets, 1);
	else
		bpf_map_update_elem(&flows, &flow, &one, BPF_NOEXIST);
	if (bpf_skb_load_bytes(skb, TOS_OFF, &old, sizeof(old)))
		return TC_ACT_SHOT;
	bpf_l3_csum_replace(skb, IP_CSUM_OFF, bpf_htons(old), bpf_htons(tos), 2);
	bpf_skb_store_bytes(skb, TOS_OFF, &tos, sizeof(tos), 0);
	return TC_ACT_PIPE;
}

SEC("tc")
int tunnel(struct __sk_buff *skb)
{
	struct bpf_tunnel_key key = { .tunnel_id = 2, .remote_ipv4 = INADDR_LOOPBACK, .tunnel_ttl = 64 };

	if (bpf_skb_set_tunnel_key(skb, &key, sizeof(key), BPF_F_ZERO_CSUM_TX) < 0)
		return TC_ACT_SHOT;
	return TC_ACT_OK;
}

char _license[] SEC("license") = "GPL";
