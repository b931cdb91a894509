/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Handles a TCP socket's change of state, and its accept. */
#ifndef SOCKET_TRACKER_TCP_BPF_H
#define SOCKET_TRACKER_TCP_BPF_H

#include "socket_tracker_events.bpf.h"

/* The kernel's macros: BTF, and so vmlinux.h, can't hold them. */
#define AF_INET 2
#define AF_INET6 10

static __always_inline bool is_ipv4_mapped(const struct in6_addr *address)
{
	const __be32 *words = address->in6_u.u6_addr32;

	return !words[0] && !words[1] && words[2] == bpf_htonl(0xffff);
}

/* Sets the addresses and ports of a TCP socket. Reads the local port from inet_sport: skc_num is 0 again at CLOSE. */
static __always_inline void set_addresses(struct connection *connection, struct sock *sk)
{
	struct sock_common *common = &sk->__sk_common;
	struct in6_addr remote = {};

	connection->sport = bpf_ntohs(BPF_CORE_READ((struct inet_sock *)sk, inet_sport));
	connection->dport = bpf_ntohs(BPF_CORE_READ(common, skc_dport));
	if (BPF_CORE_READ(common, skc_family) == AF_INET6 && bpf_core_field_exists(common->skc_v6_daddr)) {
		BPF_CORE_READ_INTO(&remote, common, skc_v6_daddr);
		if (!is_ipv4_mapped(&remote)) {
			connection->ip_version = 6;
			__builtin_memcpy(connection->daddr, &remote, sizeof(remote));
			bpf_core_read(connection->saddr, ADDRESS_LENGTH, &common->skc_v6_rcv_saddr);
			return;
		}
	}
	connection->ip_version = 4;
	set_ipv4(connection->daddr, BPF_CORE_READ(common, skc_daddr));
	set_ipv4(connection->saddr, BPF_CORE_READ(common, skc_rcv_saddr));
}

/* Returns a new event with the time since connection->since as its duration. */
static __always_inline struct event *new_result(enum event_kind kind, __u64 socket, const struct connection *connection)
{
	struct event *event = new_event(kind, socket, connection);

	if (event)
		event->duration = event->time - connection->since;
	return event;
}

static __always_inline void keep(__u64 socket, const struct connection *connection)
{
	if (bpf_map_update_elem(&connections, &socket, connection, BPF_ANY))
		__atomic_fetch_add(&connections_lost, 1, __ATOMIC_RELAXED);
}

/* Runs in connect(), before the kernel has chosen the local port. */
static __always_inline void tcp_connecting(struct sock *sk)
{
	struct connection connection = {.protocol = IPPROTO_TCP, .direction = DIRECTION_OUT};

	if (!set_owner(&connection))
		return;
	set_addresses(&connection, sk);
	keep(key_of(sk), &connection);
}

static __always_inline void tcp_established(struct sock *sk)
{
	__u64 socket = key_of(sk);
	struct connection *connection = bpf_map_lookup_elem(&connections, &socket);

	if (!connection || connection->established)
		return;
	set_addresses(connection, sk);
	connection->established = 1;
	submit(new_result(EVENT_CONNECT, socket, connection));
}

/* bytes_sent counts a byte once more for each time that it is sent again; bytes_received counts the peer's FIN as one,
 * and the kernel notes a FIN as SOCK_DONE. */
static __always_inline void set_bytes(struct event *event, struct sock *sk)
{
	struct tcp_sock *tcp = (struct tcp_sock *)sk;
	bool fin = BPF_CORE_READ(sk, __sk_common.skc_flags) >> bpf_core_enum_value(enum sock_flags, SOCK_DONE) & 1;

	event->sent = BPF_CORE_READ(tcp, bytes_sent) - BPF_CORE_READ(tcp, bytes_retrans);
	event->received = BPF_CORE_READ(tcp, bytes_received) - fin;
}

static __always_inline void tcp_closed(struct sock *sk)
{
	__u64 socket = key_of(sk);
	struct connection *connection = bpf_map_lookup_elem(&connections, &socket);
	struct event *event;

	if (!connection)
		return;
	if (connection->established) {
		event = new_result(EVENT_CLOSE, socket, connection);
		if (event)
			set_bytes(event, sk);
	} else {
		set_addresses(connection, sk);
		event = new_result(EVENT_FAIL, socket, connection);
		if (event)
			event->error = BPF_CORE_READ(sk, sk_err);
	}
	submit(event);
	bpf_map_delete_elem(&connections, &socket);
}

static __always_inline bool is_tcp(struct sock *sk)
{
	__u16 family = BPF_CORE_READ(sk, __sk_common.skc_family);

	return (family == AF_INET || family == AF_INET6) && BPF_CORE_READ(sk, sk_protocol) == IPPROTO_TCP;
}

static __always_inline void tcp_state(struct sock *sk, int state)
{
	if (!is_tcp(sk))
		return;
	if (state == TCP_SYN_SENT)
		tcp_connecting(sk);
	else if (state == TCP_ESTABLISHED)
		tcp_established(sk);
	else if (state == TCP_CLOSE)
		tcp_closed(sk);
}

/* Runs in accept(), with the new connection's socket. */
static __always_inline void tcp_accepted(struct sock *sk)
{
	struct connection connection = {.protocol = IPPROTO_TCP, .direction = DIRECTION_IN, .established = 1};
	__u64 socket = key_of(sk);

	if (!is_tcp(sk) || !set_owner(&connection))
		return;
	set_addresses(&connection, sk);
	keep(socket, &connection);
	submit(new_event(EVENT_ACCEPT, socket, &connection));
	/* A peer's reset may come before accept(): then CLOSE has been, and won't come again. */
	if (BPF_CORE_READ(sk, __sk_common.skc_state) == TCP_CLOSE)
		bpf_map_delete_elem(&connections, &socket);
}

#endif
