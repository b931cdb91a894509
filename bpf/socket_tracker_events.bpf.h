/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The maps, whose a socket is, and how an event is made. Include after vmlinux.h and libbpf's headers. */
#ifndef SOCKET_TRACKER_EVENTS_BPF_H
#define SOCKET_TRACKER_EVENTS_BPF_H

#include "socket_tracker.h"

const volatile __u32 target_pid; /* 0: every process */
__u64 dropped;                   /* events and connections for which there was no room */

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

/* A pointer is as wide as the kernel's, not as BPF's: on a 32-bit kernel BPF_CORE_READ takes four bytes too many, which
 * does no harm to an address that is only read through, but to one that is compared. */
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

static __always_inline void count_dropped(void)
{
	__sync_fetch_and_add(&dropped, 1);
}

/* Notes the current task as the owner; false if the filter doesn't want it. The task is read, as there are program
 * types and kernels without bpf_get_current_pid_tgid and its like. */
static __always_inline bool set_owner(struct connection *connection)
{
	struct task_struct *task = (void *)(unsigned long)bpf_get_current_task();

	connection->pid = BPF_CORE_READ(task, tgid);
	if (target_pid && connection->pid != target_pid)
		return false;
	connection->tid = BPF_CORE_READ(task, pid);
	BPF_CORE_READ_INTO(&connection->uid, task, cred, uid.val);
	bpf_core_read_str(connection->comm, sizeof(connection->comm), &task->comm);
	connection->since = bpf_ktime_get_boot_ns();
	return true;
}

static __always_inline struct event *new_event(enum event_kind kind, __u64 socket, const struct connection *connection)
{
	struct event *event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);

	if (!event) {
		count_dropped();
		return NULL;
	}
	event->time = bpf_ktime_get_boot_ns();
	event->socket = socket;
	event->duration = 0;
	event->sent = 0;
	event->received = 0;
	event->kind = kind;
	event->error = 0;
	event->connection = *connection;
	return event;
}

static __always_inline void submit(struct event *event)
{
	if (event)
		bpf_ringbuf_submit(event, 0);
}

#endif
