/* sockops, cgroup and a socket filter in one object, as samples have them; errno's numbers are returned. */
#include <linux/bpf.h>
#include <sys/socket.h>
#include <linux/errno.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <linux/in6.h>
#include <linux/limits.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define SOL_TCP 6
#define TCP_SYNCNT 7

char path[NAME_MAX];

SEC("sockops")
int set_syncnt(struct bpf_sock_ops *ops)
{
	int retries = 3, reply = -1;

	if (bpf_ntohl(ops->remote_port) != 55601 && ops->local_port != 55601) {
		ops->reply = -1;
		return 1;
	}
	if (ops->op == BPF_SOCK_OPS_TCP_CONNECT_CB && ops->family == AF_INET6)
		reply = bpf_setsockopt(ops, SOL_TCP, TCP_SYNCNT, &retries, sizeof(retries));
	ops->reply = reply == -EINVAL ? -ENOPROTOOPT : reply;
	return 1;
}

SEC("socket")
int outgoing(struct __sk_buff *skb)
{
	return skb->pkt_type == PACKET_OUTGOING ? (int)skb->len : 0;
}

char _license[] SEC("license") = "GPL";
