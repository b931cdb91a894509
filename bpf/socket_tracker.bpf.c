// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Who talks to whom: TCP connect, accept and close, UDP and ICMP echo send.
 *
 * Kernels differ in the hooks that they allow, so each of three variants sees all of it, and the loader enables one:
 *
 *              TCP state                    accept                        datagrams
 *   fentry     tcp_set_state                security_sock_graft           ip_send_skb, ip_push_pending_frames and
 *                                                                         their IPv6 namesakes
 *   kprobe     the same functions
 *   tp_btf     tracepoint                   tracepoints                   cgroup_skb/egress at the root of cgroup v2
 *              inet_sock_set_state          sys_exit_accept, …_accept4
 *
 * All of them solve two problems in the same way. The owner: a process calls connect() and accept(), but ESTABLISHED
 * and CLOSE come in softirq, when any process may be current; so the owner is noted where process context is sure, and
 * found again by the socket. The addresses: an unbound UDP socket has none; so they are read from the finished packet,
 * at the last place that the sender itself still runs in.
 *
 * None of them sees TCP connections older than the tracker, accepted MPTCP, packet sockets, or IPv6 datagrams with
 * extension headers. fentry and kprobe miss raw sockets that bring their own IPv4 header (IP_HDRINCL). tp_btf misses
 * accepts through io_uring and, on x86_64, of 32-bit processes; and it sees a datagram's addresses after NAT in OUTPUT
 * and POSTROUTING, where the others see those that the process gave.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_tracing.h>
#include "socket_tracker_tcp.bpf.h"
#include "socket_tracker_send.bpf.h"

/* BPF_PROG and BPF_KPROBE name a `ctx`, and a hook's arguments come in order: not every program reads them all. */
#pragma clang diagnostic ignored "-Wunused-parameter"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* fentry. Every accept() passes security_sock_graft once it has its connection: a probe on the return of
 * inet_csk_accept would miss those that were blocked in it when the tracker came, and needs a slot for each. */

SEC("fentry/tcp_set_state")
int BPF_PROG(state_fentry, struct sock *sk, int state)
{
	tcp_state(sk, state);
	return 0;
}

SEC("fentry/security_sock_graft")
int BPF_PROG(accept_fentry, struct sock *sk)
{
	tcp_accepted(sk);
	return 0;
}

SEC("fentry/ip_send_skb")
int BPF_PROG(send4_fentry, struct net *net, struct sk_buff *skb)
{
	skb_sent(skb);
	return 0;
}

SEC("fentry/ip6_send_skb")
int BPF_PROG(send6_fentry, struct sk_buff *skb)
{
	skb_sent(skb);
	return 0;
}

SEC("fentry/ip_push_pending_frames")
int BPF_PROG(echo4_fentry, struct sock *sk, struct flowi4 *flow)
{
	echo4_sent(sk, flow);
	return 0;
}

SEC("fentry/ip6_push_pending_frames")
int BPF_PROG(echo6_fentry, struct sock *sk)
{
	echo6_sent(sk);
	return 0;
}

/* kprobe: the same functions. */

SEC("kprobe/tcp_set_state")
int BPF_KPROBE(state_kprobe, struct sock *sk, int state)
{
	tcp_state(sk, state);
	return 0;
}

SEC("kprobe/security_sock_graft")
int BPF_KPROBE(accept_kprobe, struct sock *sk)
{
	tcp_accepted(sk);
	return 0;
}

SEC("kprobe/ip_send_skb")
int BPF_KPROBE(send4_kprobe, struct net *net, struct sk_buff *skb)
{
	skb_sent(skb);
	return 0;
}

SEC("kprobe/ip6_send_skb")
int BPF_KPROBE(send6_kprobe, struct sk_buff *skb)
{
	skb_sent(skb);
	return 0;
}

SEC("kprobe/ip_push_pending_frames")
int BPF_KPROBE(echo4_kprobe, struct sock *sk, struct flowi4 *flow)
{
	echo4_sent(sk, flow);
	return 0;
}

SEC("kprobe/ip6_push_pending_frames")
int BPF_KPROBE(echo6_kprobe, struct sock *sk)
{
	echo6_sent(sk);
	return 0;
}

/* tp_btf. An accept is seen when the system call returns: SYN_RECV -> ESTABLISHED is in softirq and has no owner. */

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(state_tp_btf, struct sock *sk, int old_state, int state)
{
	tcp_state(sk, state);
	return 0;
}

/* Returns the socket of a descriptor that accept() has just returned, NULL if another thread has closed it since. */
static __always_inline struct sock *socket_of(int descriptor)
{
	struct task_struct *task = (void *)(unsigned long)bpf_get_current_task();
	__u32 pointer_size = bpf_core_field_size(task->files);
	unsigned char *table = (unsigned char *)BPF_CORE_READ(task, files, fdt, fd);
	struct file *file = NULL;
	struct socket *socket;

	bpf_probe_read_kernel(&file, pointer_size, table + descriptor * pointer_size);
	socket = READ_POINTER(file, private_data);
	if (!file || READ_POINTER(socket, file) != file)
		return NULL;
	return READ_POINTER(socket, sk);
}

static __always_inline void accept_returned(struct syscall_trace_exit *context)
{
	long result = 0;
	struct sock *sk;

	/* `long` is the kernel's too: see READ_POINTER. */
	bpf_core_read(&result, bpf_core_field_size(context->ret), &context->ret);
	sk = (int)result >= 0 ? socket_of((int)result) : NULL;
	if (sk)
		tcp_accepted(sk);
}

SEC("tp/syscalls/sys_exit_accept")
int accept_tp_btf(struct syscall_trace_exit *context)
{
	accept_returned(context);
	return 0;
}

SEC("tp/syscalls/sys_exit_accept4")
int accept4_tp_btf(struct syscall_trace_exit *context)
{
	accept_returned(context);
	return 0;
}

SEC("cgroup_skb/egress")
int send_tp_btf(struct __sk_buff *skb)
{
	struct packet packet = {.context = skb, .length = skb->len};
	/* Not skb->sk: by CO-RE that is a load of 4 bytes on a 32-bit kernel, which has 8 for each pointer of a context. */
	void *sock = *(void **)((void *)skb + __builtin_offsetof(struct __sk_buff, sk));

	packet_sent((unsigned long)sock, &packet, false);
	return 1; /* let it pass */
}
