/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The types that socket_tracker.bpf.c shares with user space. Include after vmlinux.h, for the fixed-width types. */
#ifndef SOCKET_TRACKER_H
#define SOCKET_TRACKER_H

#define COMM_LENGTH 16
#define ADDRESS_LENGTH 16

enum event_kind {
	EVENT_CONNECT = 1, /* a TCP connect() of this host was answered */
	EVENT_FAIL = 2,    /* it was refused, timed out, or was given up */
	EVENT_ACCEPT = 3,  /* a process took a TCP connection off its listening socket */
	EVENT_CLOSE = 4,   /* a TCP connection seen since its connect or accept has ended */
	EVENT_SEND = 5,    /* a UDP datagram or an ICMP echo request left a socket */
};

enum direction {
	DIRECTION_OUT = 1,
	DIRECTION_IN = 2,
};

/* An address is 16 bytes in network order, IPv4 as ::ffff:a.b.c.d; the tag makes it an address in skeletons. */
#ifdef __clang__
#define IP_ADDRESS __attribute__((btf_decl_tag("ip")))
#else
#define IP_ADDRESS
#endif

/* The two ends, named as in struct sock: s… is this process's side, d… the other one's. Ports are in host order.
 * A macro, since an event has the same members: `struct connection;` as a member is an extension of C. */
#define CONNECTION_MEMBERS                                                                                  \
	__u64 since; /* ns since boot: when connect() was called, accept() returned, or the datagram was sent */ \
	__u32 pid;   /* what user space calls so: the kernel's tgid */                                       \
	__u32 tid;                                                                                          \
	__u32 uid;                                                                                          \
	char comm[COMM_LENGTH]; /* the thread's name */                                                     \
	__u8 saddr[ADDRESS_LENGTH] IP_ADDRESS;                                                              \
	__u8 daddr[ADDRESS_LENGTH] IP_ADDRESS;                                                              \
	__u16 sport; /* ICMP: the echo identifier */                                                        \
	__u16 dport; /* ICMP: 0 */                                                                          \
	enum direction direction;                                                                           \
	__u8 ip_version; /* 4 or 6; an IPv4-mapped IPv6 socket is 4 */                                      \
	__u8 protocol;   /* an IPPROTO_ number */                                                           \
	__u8 established; /* 0 while a connect() waits for its answer */

struct connection {
	CONNECTION_MEMBERS
};

struct event {
	CONNECTION_MEMBERS /* first: an event begins as its connection does */
	__u64 time;     /* ns since boot, suspend included (CLOCK_BOOTTIME) */
	__u64 socket;   /* the kernel's address of it: its name for as long as it lives, and the key in `connections` */
	__u64 duration; /* ns since `since`, on CONNECT, FAIL and CLOSE */
	__u64 sent;     /* payload bytes: of the connection on CLOSE, of the datagram on SEND */
	__u64 received; /* payload bytes, on CLOSE */
	enum event_kind kind;
	__u32 error; /* errno, on FAIL; 0 where the kernel gives none */
};

#endif
