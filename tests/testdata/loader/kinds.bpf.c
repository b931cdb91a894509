/* A program of each kind, each counting what it sees. None is loaded unless a test asks for it. */
#include "mini_bpf.h"

#define SOCKMAP 15

static __u64 (*bpf_get_attach_cookie)(void *ctx) = (void *)174;
static long (*bpf_seq_write)(void *seq, const void *data, __u32 len) = (void *)127;
static long (*bpf_seq_printf)(void *seq, const char *format, __u32 size, const void *data, __u32 length) = (void *)126;

char LICENSE[] SEC("license") = "GPL";

const volatile __u32 target_pid; /* 0: any process */
const volatile bool with_cookies; /* no kernel before 5.15 has the helper, and for raw tracepoints none before 6.10 */
__u64 hits;
__u64 cookie;
__u64 argument;

static __noinline int seen(void *ctx)
{
	__u32 pid = bpf_get_current_pid_tgid() >> 32;
	if (!target_pid || pid == target_pid)
		__atomic_fetch_add(&hits, 1, __ATOMIC_RELAXED);
	return 0;
}

#define PROBE(section, name)                                 \
	SEC("?" section)                                     \
	int name(void *ctx)                                  \
	{                                                    \
		if (with_cookies)                            \
			cookie = bpf_get_attach_cookie(ctx); \
		return seen(ctx);                            \
	}

#define COUNT(section, name, verdict)                           \
	SEC("?" section)                                        \
	int name(void *ctx)                                     \
	{                                                       \
		__atomic_fetch_add(&hits, 1, __ATOMIC_RELAXED); \
		return verdict;                                 \
	}

PROBE("kprobe/__x64_sys_getppid", on_kprobe)
PROBE("kretprobe/__x64_sys_getppid", on_kretprobe)
PROBE("kprobe.multi/__x64_sys_getpp*", on_kprobe_multi)
PROBE("kprobe.session/__x64_sys_getpp*", on_kprobe_session)
PROBE("ksyscall/getppid", on_ksyscall)
PROBE("uprobe", on_uprobe)
PROBE("uretprobe", on_uretprobe)
PROBE("uprobe.s", on_uprobe_sleepable)
PROBE("uprobe.multi", on_uprobe_multi)
PROBE("uprobe.session", on_uprobe_session)
PROBE("tp/syscalls/sys_enter_getppid", on_tracepoint)
PROBE("raw_tp/sys_enter", on_raw_tracepoint)
PROBE("tp_btf/sys_enter", on_tp_btf)
PROBE("perf_event", on_sample)

SEC("?fentry/tcp_connect")
int on_fentry(void *ctx)
{
	return seen(ctx);
}

SEC("?fexit/tcp_connect")
int on_fexit(void *ctx)
{
	return seen(ctx);
}

SEC("?fmod_ret/bpf_modify_return_test")
int on_fmod_ret(void *ctx)
{
	return seen(ctx);
}

SEC("?lsm/file_open")
int on_lsm(void *ctx)
{
	return seen(ctx);
}

SEC("?lsm_cgroup/socket_create")
int on_lsm_cgroup(void *ctx)
{
	__atomic_fetch_add(&hits, 1, __ATOMIC_RELAXED);
	return 1;
}

COUNT("cgroup_skb/ingress", on_cgroup_ingress, 1)
COUNT("cgroup_skb/egress", on_cgroup_egress, 1)
COUNT("cgroup/sock_create", on_sock_create, 1)
COUNT("cgroup/sock_release", on_sock_release, 1)
COUNT("cgroup/bind4", on_bind4, 1)
COUNT("cgroup/bind6", on_bind6, 1)
COUNT("cgroup/post_bind4", on_post_bind4, 1)
COUNT("cgroup/connect4", on_connect4, 1)
COUNT("cgroup/connect6", on_connect6, 1)
COUNT("cgroup/connect_unix", on_connect_unix, 1)
COUNT("cgroup/sendmsg4", on_sendmsg4, 1)
COUNT("cgroup/recvmsg4", on_recvmsg4, 1)
COUNT("cgroup/getpeername4", on_getpeername4, 1)
COUNT("cgroup/getsockname4", on_getsockname4, 1)
COUNT("cgroup/getsockopt", on_getsockopt, 1)
COUNT("cgroup/setsockopt", on_setsockopt, 1)
COUNT("cgroup/sysctl", on_sysctl, 1)
COUNT("cgroup/dev", on_device, 1)
COUNT("sockops", on_sockops, 1)
COUNT("xdp", on_xdp, 2)
COUNT("xdp", on_xdp_too, 2)
COUNT("tc", on_tc, 0)
COUNT("tcx/ingress", on_tcx, -1)
COUNT("tcx/ingress", on_tcx_too, -1)
COUNT("netkit/primary", on_netkit, -1)
COUNT("netkit/primary", on_netkit_too, 0)
COUNT("netfilter", on_netfilter, 1)
COUNT("socket", on_socket, 0xffff)
COUNT("sk_reuseport", on_reuseport, 1)
COUNT("sk_lookup", on_lookup, 1)
COUNT("flow_dissector", on_flow, 129)
COUNT("sk_msg", on_message, 1)
COUNT("sk_skb/stream_verdict", on_verdict, 1)

struct {
	__uint(type, SOCKMAP);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u32);
} sockets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__type(key, __u32);
	__type(value, __u64);
} numbers SEC(".maps");

/* What libbpf hands over for USDT, as the structs of its usdt.c since 0.8 have it in size and place. */
struct usdt_spec {
	__u64 arguments[24];
	__u64 cookie;
	__u64 count;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 256);
	__type(key, int);
	__type(value, struct usdt_spec);
} __bpf_usdt_specs SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 256);
	__type(key, long);
	__type(value, __u32);
} __bpf_usdt_ip_to_spec_id SEC(".maps");

SEC("?usdt")
int on_usdt(void *ctx)
{
	int id = bpf_get_attach_cookie(ctx);
	struct usdt_spec *spec = bpf_map_lookup_elem(&__bpf_usdt_specs, &id);
	if (spec) {
		cookie = spec->cookie;
		argument = spec->arguments[0];
	}
	return seen(ctx);
}

struct seq_file;

struct bpf_iter_meta {
	struct seq_file *seq;
	__u64 session_id;
	__u64 seq_num;
} __core;

struct task_struct {
	int pid;
	int tgid;
} __core;

struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
} __core;

struct bpf_iter__bpf_map_elem {
	struct bpf_iter_meta *meta;
	void *map;
	__u32 *key;
	__u64 *value;
} __core;

struct bpf_iter__cgroup {
	struct bpf_iter_meta *meta;
	void *cgroup;
} __core;

struct task_row {
	int pid;
	int tgid;
};

struct task_row *unused_task_row __attribute__((unused));

SEC("?iter/task")
int list_tasks(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	if (!task)
		return 0;
	__u64 values[] = {task->pid, task->tgid};
	static const char format[] = "%d of %d\n";
	bpf_seq_printf(ctx->meta->seq, format, sizeof(format), values, sizeof(values));
	return 0;
}

SEC("?iter/task")
int task_rows(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	if (!task)
		return 0;
	struct task_row row = {task->pid, task->tgid};
	bpf_seq_write(ctx->meta->seq, &row, sizeof(row));
	return 0;
}

SEC("?iter/bpf_map_elem")
int list_numbers(struct bpf_iter__bpf_map_elem *ctx)
{
	__u32 *key = ctx->key;
	__u64 *value = ctx->value;
	if (!key || !value)
		return 0;
	__u64 values[] = {*key, *value};
	static const char format[] = "%d: %d\n";
	bpf_seq_printf(ctx->meta->seq, format, sizeof(format), values, sizeof(values));
	return 0;
}

SEC("?iter/cgroup")
int list_cgroups(struct bpf_iter__cgroup *ctx)
{
	static const char format[] = "cgroup\n";
	if (ctx->cgroup)
		bpf_seq_printf(ctx->meta->seq, format, sizeof(format), 0, 0);
	return 0;
}

struct call {
	__u32 number;
	__u32 doubled;
};

SEC("?syscall")
int on_call(struct call *call)
{
	call->doubled = 2 * call->number;
	return 42;
}

/* A function that freplace can take the place of: global, and not inlined. */
struct __sk_buff {
	__u32 len;
};

__noinline int replaceable(struct __sk_buff *ctx)
{
	volatile int result = 5;
	return result;
}

SEC("?tc")
int calls_replaceable(struct __sk_buff *ctx)
{
	return replaceable(ctx);
}

/* What returns its second argument of a raw tracepoint's. */
SEC("?raw_tp/sys_enter")
int on_arguments(__u64 *ctx)
{
	argument = ctx[1];
	return 3;
}
