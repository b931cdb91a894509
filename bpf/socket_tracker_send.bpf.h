/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Handles a datagram that leaves a socket. */
#ifndef SOCKET_TRACKER_SEND_BPF_H
#define SOCKET_TRACKER_SEND_BPF_H

#include "socket_tracker_events.bpf.h"

/* The kernel's macros: BTF, and so vmlinux.h, can't hold them. */
#define ICMP_ECHO 8
#define ICMPV6_ECHO_REQUEST 128
#define IPPROTO_ICMPV6 58

#define UDP_HEADER_LENGTH 8 /* an ICMP echo's is as long */

/* A finished packet: in a cgroup program's context, or else in the kernel's memory. */
struct packet {
	struct __sk_buff *context;
	unsigned char *network; /* the IP header */
	__u32 length;           /* with the IP header */
};

static __always_inline long read_packet(const struct packet *packet, __u32 offset, void *to, __u32 size)
{
	if (packet->context)
		return bpf_skb_load_bytes(packet->context, offset, to, size);
	return bpf_probe_read_kernel(to, size, packet->network + offset);
}

/* Sets the addresses and protocol from a packet. Returns the length of the IP header, 0 for what is no IP.
 * Doesn't follow IPv6 extension headers: the kernel sends neither UDP nor an echo in them. */
static __always_inline __u32 set_network(struct connection *connection, const struct packet *packet)
{
	struct iphdr v4;
	struct ipv6hdr v6;
	__u8 first = 0;

	if (read_packet(packet, 0, &first, sizeof(first)))
		return 0;
	connection->ip_version = first >> 4;
	if (connection->ip_version == 4 && !read_packet(packet, 0, &v4, sizeof(v4))) {
		connection->protocol = v4.protocol;
		set_ipv4(connection->saddr, v4.saddr);
		set_ipv4(connection->daddr, v4.daddr);
		return (first & 15) * 4;
	}
	if (connection->ip_version == 6 && !read_packet(packet, 0, &v6, sizeof(v6))) {
		connection->protocol = v6.nexthdr;
		__builtin_memcpy(connection->saddr, &v6.saddr, sizeof(v6.saddr));
		__builtin_memcpy(connection->daddr, &v6.daddr, sizeof(v6.daddr));
		return sizeof(v6);
	}
	return 0;
}

/* Sets a UDP datagram's ports or an ICMP echo request's identifier; false for any other packet, the kernel's own ICMP
 * among them: it replies to an echo in the context of the process that asked. */
static __always_inline bool set_transport(struct connection *connection, const struct packet *packet, __u32 offset)
{
	union {
		struct udphdr udp;
		struct icmphdr icmp; /* an ICMPv6 echo has the same fields */
	} header;
	__u8 echo = connection->ip_version == 4 ? ICMP_ECHO : ICMPV6_ECHO_REQUEST;
	__u8 icmp = connection->ip_version == 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;

	if (connection->protocol != IPPROTO_UDP && connection->protocol != icmp)
		return false;
	if (read_packet(packet, offset, &header, UDP_HEADER_LENGTH))
		return false;
	if (connection->protocol == IPPROTO_UDP) {
		connection->sport = bpf_ntohs(header.udp.source);
		connection->dport = bpf_ntohs(header.udp.dest);
		return true;
	}
	connection->sport = bpf_ntohs(header.icmp.un.echo.id);
	return header.icmp.type == echo;
}

static __always_inline void sent(struct connection *connection, __u64 socket, __u32 bytes)
{
	struct event *event;

	connection->direction = DIRECTION_OUT;
	if (!set_owner(connection))
		return;
	event = new_event(EVENT_SEND, socket, connection);
	if (event)
		event->sent = bytes;
	submit(event);
}

/* Handles a packet with its IP header; `only_udp` ignores echoes. */
static __always_inline void packet_sent(__u64 socket, const struct packet *packet, bool only_udp)
{
	struct connection connection = {};
	__u32 offset = set_network(&connection, packet);

	if (!offset || (only_udp && connection.protocol != IPPROTO_UDP))
		return;
	if (set_transport(&connection, packet, offset))
		sent(&connection, socket, packet->length - offset - UDP_HEADER_LENGTH);
}

/* Handles UDP in ip_send_skb and ip6_send_skb. Raw and ping sockets pass there only if the kernel's compiler didn't
 * inline it into their callers, ip_push_pending_frames and ip6_push_pending_frames, which lie in the same files. */
static __always_inline void skb_sent(struct sk_buff *skb)
{
	struct packet packet = {
		.network = BPF_CORE_READ(skb, head) + BPF_CORE_READ(skb, network_header),
		.length = BPF_CORE_READ(skb, len),
	};

	packet_sent(key_of(READ_POINTER(skb, sk)), &packet, true);
}

/* Handles an echo in the callers: it lies in the socket's queue, its IP header is still to be made. */
static __always_inline void echo_sent(struct connection *connection, struct sock *sk)
{
	struct sk_buff *skb = BPF_CORE_READ(sk, sk_write_queue.next);
	struct packet packet = {.network = BPF_CORE_READ(skb, head) + BPF_CORE_READ(skb, transport_header)};
	__u32 length = BPF_CORE_READ((struct inet_sock *)sk, cork.base.length);

	if (connection->protocol != IPPROTO_UDP && set_transport(connection, &packet, 0))
		sent(connection, key_of(sk), length - UDP_HEADER_LENGTH);
}

static __always_inline void echo4_sent(struct sock *sk, struct flowi4 *flow)
{
	struct connection connection = {.ip_version = 4, .protocol = BPF_CORE_READ(flow, __fl_common.flowic_proto)};

	set_ipv4(connection.saddr, BPF_CORE_READ(flow, saddr));
	set_ipv4(connection.daddr, BPF_CORE_READ(flow, daddr));
	echo_sent(&connection, sk);
}

static __always_inline void echo6_sent(struct sock *sk)
{
	struct flowi6 *flow = __builtin_preserve_access_index(&((struct inet_sock *)sk)->cork.fl.u.ip6);
	struct connection connection = {.ip_version = 6, .protocol = BPF_CORE_READ(flow, __fl_common.flowic_proto)};

	bpf_core_read(connection.saddr, ADDRESS_LENGTH, &flow->saddr);
	bpf_core_read(connection.daddr, ADDRESS_LENGTH, &flow->daddr);
	echo_sent(&connection, sk);
}

#endif
