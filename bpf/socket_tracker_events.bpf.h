/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The filters, the maps, a connection's owner, and new events. Include after vmlinux.h and libbpf's headers. */
#ifndef SOCKET_TRACKER_EVENTS_BPF_H
#define SOCKET_TRACKER_EVENTS_BPF_H

#include "socket_tracker.h"

#define EVERYONE 0xffffffff

/* The filters. They keep unwanted events out of the ring and, where known in time, connections out of the map. */
const volatile __u32 filter_pid;                 /* 0: every process */
const volatile __u32 filter_uid = EVERYONE;      /* root is 0 */
const volatile __u32 filter_kinds;               /* 1 << an event_kind, ORed; 0: all */
const volatile enum direction filter_direction;  /* 0: both */
const volatile __u16 filter_port;                /* of either side; 0: every one */
const volatile __u8 filter_protocol;             /* an IPPROTO_ number; 0: all */

__u64 events_lost;      /* events for which the ring had no room */
__u64 connections_lost; /* TCP connections for which `connections` had none: nothing more is seen of them */

struct {
	struct event (*type)[BPF_MAP_TYPE_RINGBUF]; /* __uint(type, …), and the records' type for the skeleton */
	__uint(max_entries, 1 << 20);
} events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1 << 15);
	__type(key, __u64);
	__type(value, struct connection);
} connections SEC(".maps");

/* Reads a pointer as wide as the kernel's, not as BPF's: on a 32-bit kernel BPF_CORE_READ reads four bytes too many,
 * which harms an address that is compared, though not one that is only read through. */
#define READ_POINTER(source, field)                                                            \
	({                                                                                     \
		void *pointer = NULL;                                                          \
		bpf_core_read(&pointer, bpf_core_field_size((source)->field), &(source)->field); \
		pointer;                                                                       \
	})

static __always_inline __u64 key_of(const struct sock *sk)
{
	return (unsigned long)sk;
}

static __always_inline void set_ipv4(__u8 *address, __be32 ipv4)
{
	__u32 words[] = {0, 0, bpf_htonl(0xffff), ipv4};

	__builtin_memcpy(address, words, ADDRESS_LENGTH);
}

/* Notes the current task as the owner; false if the filters don't want it. Reads the task itself: some program types
 * and kernels lack bpf_get_current_pid_tgid and its like. */
static __always_inline bool set_owner(struct connection *connection)
{
	struct task_struct *task = (void *)(unsigned long)bpf_get_current_task();

	if (filter_protocol && connection->protocol != filter_protocol)
		return false;
	if (filter_direction && connection->direction != filter_direction)
		return false;
	connection->pid = BPF_CORE_READ(task, tgid);
	if (filter_pid && connection->pid != filter_pid)
		return false;
	BPF_CORE_READ_INTO(&connection->uid, task, cred, uid.val);
	if (filter_uid != EVERYONE && connection->uid != filter_uid)
		return false;
	connection->tid = BPF_CORE_READ(task, pid);
	bpf_core_read_str(connection->comm, sizeof(connection->comm), &task->comm);
	connection->since = bpf_ktime_get_boot_ns();
	return true;
}

static __always_inline bool is_wanted(enum event_kind kind, const struct connection *connection)
{
	if (filter_kinds && !(filter_kinds >> kind & 1))
		return false;
	return !filter_port || connection->sport == filter_port || connection->dport == filter_port;
}

/* Reserves an event with its connection; NULL if the filters don't want it, or the ring is full. */
static __always_inline struct event *new_event(enum event_kind kind, __u64 socket, const struct connection *connection)
{
	struct event *event;

	_Static_assert(__builtin_offsetof(struct event, established) == __builtin_offsetof(struct connection, established) &&
		       __builtin_offsetof(struct event, time) == sizeof(struct connection), "not the same members");
	if (!is_wanted(kind, connection))
		return NULL;
	event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
	if (!event) {
		__atomic_fetch_add(&events_lost, 1, __ATOMIC_RELAXED);
		return NULL;
	}
	__builtin_memcpy(event, connection, sizeof(*connection));
	event->time = bpf_ktime_get_boot_ns();
	event->socket = socket;
	event->duration = 0;
	event->sent = 0;
	event->received = 0;
	event->kind = kind;
	event->error = 0;
	return event;
}

static __always_inline void submit(struct event *event)
{
	if (event)
		bpf_ringbuf_submit(event, 0);
}

#endif
