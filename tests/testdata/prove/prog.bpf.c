/* Compiled with kernel.h as it is and with one thing changed: prove has to tell them apart. */
struct sock;
#include "kernel.h"
#include "mini_bpf.h"

#if defined(__TARGET_ARCH_arm64)
#define FIRST_ARGUMENT si
#else
#define FIRST_ARGUMENT di
#endif

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, struct tuple);
	__type(value, struct flow);
} flows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, int);
	__type(value, long);
} totals SEC(".maps");

const volatile int limit = 5;
struct flow last;
struct untouched *never;

static __noinline int weigh(struct sock *sk)
{
	return sk->load.weight + sk->loads[2].inverse;
}

__noinline int check(struct tuple *tuple)
{
	return tuple ? tuple->port : 0;
}

SEC("kprobe/tcp_connect")
int on_connect(struct pt_regs *regs)
{
	struct sock *sk = (struct sock *)regs->FIRST_ARGUMENT;
	struct tuple key = {.daddr = sk->common.daddr};
	struct flow *flow = bpf_map_lookup_elem(&flows, &key);

	if (!flow || sk->state == STATE_CLOSED)
		return 0;
	flow->bytes += sk->bytes + sk->backlog[2] + sk->lock.pending;
	if (__builtin_preserve_field_info(sk->family, 2))
		flow->kind = sk->family;
	flow->tuple.port = sk->common.num + sk->ipv6only;
	last.bytes = sk->proto->inuse + weigh(sk) + check(&flow->tuple);
	if (bpf_sock_check)
		last.bytes += bpf_sock_check(sk, limit);
	return __builtin_btf_type_id(*(struct flow *)0, 0) + __builtin_preserve_enum_value(*(enum state *)STATE_LAST, 1) +
	       __builtin_preserve_type_info(*(struct net *)0, 0);
}

char LICENSE[] SEC("license") = "GPL";
