/* Programs that a verifier refuses, each for one reason; off at first, a test turns one on. */
#include "mini_bpf.h"

#define READ(to, from) bpf_probe_read_kernel(to, sizeof(*(to)), from)

static void *(*bpf_ringbuf_reserve)(void *ringbuf, __u64 size, __u64 flags) = (void *)131;
static __u64 (*bpf_get_current_task)(void) = (void *)35;
static long (*bpf_skb_load_bytes)(void *skb, __u32 offset, void *to, __u32 length) = (void *)26;
static long (*bpf_not_yet)(void) = (void *)100000;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 8);
	__type(key, __u32);
	__type(value, __u64[4]);
} slots SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} events SEC(".maps");

char LICENSE[] SEC("license") = "GPL";

__u64 sink;
__u64 amount;
const volatile __u64 constant = 3;

struct task_struct {
	int pid;
	int piid;
} __core;

struct task_struct___old {
	long state;
} __core;

struct sock___flat {
	__u32 skc_daddr;
} __core;

struct no_such_struct {
	int field;
} __core;

enum bpf_map_type___later {
	BPF_MAP_TYPE_RINGBUFF = 99,
};

SEC("?raw_tp/sys_enter")
int unchecked(void *ctx)
{
	__u32 key = 1;
	__u64 *value = bpf_map_lookup_elem(&slots, &key);
	sink = value[1];
	return 0;
}

SEC("?raw_tp/sys_enter")
int scalar(__u64 *ctx)
{
	sink = *(volatile __u64 *)ctx[0];
	return 0;
}

SEC("?raw_tp/sys_enter")
int endless(void *ctx)
{
	for (;;) {
		sink++;
		asm volatile("" ::: "memory");
	}
	return 0;
}

SEC("?raw_tp/sys_enter")
int leaked(void *ctx)
{
	__u64 *record = bpf_ringbuf_reserve(&events, 8, 0);
	if (record)
		*record = 1;
	return 0;
}

SEC("?raw_tp/sys_enter")
int out_of_bounds(void *ctx)
{
	__u32 key = 1;
	__u64 *value = bpf_map_lookup_elem(&slots, &key);
	if (value)
		sink = value[amount];
	return 0;
}

SEC("?raw_tp/sys_enter")
__attribute__((naked)) int no_result(void)
{
	asm volatile("exit");
}

SEC("?raw_tp/sys_enter")
__attribute__((naked)) int stack(void)
{
	asm volatile("r0 = 0; *(u64 *)(r10 - 520) = r0; exit");
}

SEC("?raw_tp/sys_enter")
__attribute__((naked)) int uninitialised(void)
{
	asm volatile("r0 = r5; exit");
}

SEC("?raw_tp/sys_enter")
int constant_written(void *ctx)
{
	*(volatile __u64 *)&constant = 4;
	return 0;
}

SEC("?raw_tp/sys_enter")
int wrong_helper(void *ctx)
{
	__u64 value;
	return bpf_skb_load_bytes(ctx, 0, &value, 8);
}

SEC("?raw_tp/sys_enter")
int unknown_helper(void *ctx)
{
	return bpf_not_yet();
}

SEC("?cgroup/connect4")
int bad_return(void *ctx)
{
	return 7;
}

SEC("?xdp")
int bad_context(char *ctx)
{
	return *(volatile __u32 *)(ctx + 400);
}

SEC("?raw_tp/sys_enter")
int no_field(void *ctx)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	int value;
	READ(&value, &task->piid);
	return value;
}

SEC("?raw_tp/sys_enter")
int renamed_field(void *ctx)
{
	struct task_struct___old *task = (void *)bpf_get_current_task();
	long value;
	READ(&value, &task->state);
	return value;
}

SEC("?raw_tp/sys_enter")
int moved_field(__u64 *ctx)
{
	struct sock___flat *sock = (void *)ctx[0];
	__u32 value;
	READ(&value, &sock->skc_daddr);
	return value;
}

SEC("?raw_tp/sys_enter")
int no_type(__u64 *ctx)
{
	struct no_such_struct *it = (void *)ctx[0];
	int value;
	READ(&value, &it->field);
	return value;
}

SEC("?raw_tp/sys_enter")
int no_enumerator(__u64 *ctx)
{
	return __builtin_preserve_enum_value(*(enum bpf_map_type___later *)BPF_MAP_TYPE_RINGBUFF, 1);
}

SEC("?fentry/tcp_v4_connekt")
int no_function(void *ctx)
{
	return 0;
}

SEC("?tp_btf/inet_sock_set_stat")
int no_tracepoint(void *ctx)
{
	return 0;
}

SEC("?not_a_section/of_libbpf")
int no_section(void *ctx)
{
	return 0;
}

SEC("?netfilter")
int newer_section(void *ctx)
{
	return 1;
}

/* Its log has a line for each of many thousands of instructions. */
SEC("?raw_tp/sys_enter")
int talkative(__u64 *ctx)
{
	__u64 total = 0;
	for (__u64 i = 0; i < 20000; i++) {
		asm volatile("%0 ^= %1" : "+r"(total) : "r"(i));
		sink = total;
	}
	return *(volatile __u64 *)ctx[0];
}

struct task_struct___walked {
	int pid;
	struct task_struct___walked *real_parent;
} __core;

SEC("?tp_btf/sched_switch")
int walk(__u64 *ctx)
{
	struct task_struct___walked *p = (void *)ctx[1];

	while (p->pid > 1) p = p->real_parent;
	return 0;
}

SEC("?raw_tp/sys_enter")
int unbounded(__u64 *ctx)
{
	__u64 n = ctx[1];

	for (__u64 i = 0; i < n; i++)
		asm volatile("" ::: "memory");
	return 0;
}

SEC("?tp_btf/sched_switch")
int kernel_written(__u64 *ctx)
{
	struct task_struct___walked *p = (void *)ctx[1];

	p->pid = 5;
	return 0;
}
