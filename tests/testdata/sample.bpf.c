/* One object with everything that an object can hold: the sample of the ELF, BTF and objectspec tests. */
#include "mini_bpf.h"

#define ZONE_NAME 8

enum side : __u8 { SIDE_CLIENT = 1, SIDE_SERVER = 2 };
enum huge { HUGE_ONE = 1, HUGE_LAST = 0x1ffffffffULL };
enum chill { CHILL_COLD = -5, CHILL_WARM = 5 };

struct key {
	__u32 pid;
	__u16 port;
	enum side side;
} __attribute__((packed));

struct flags {
	unsigned int ready : 1;
	unsigned int depth : 7;
	int level : 8;
};

struct event {
	__u64 time;
	struct key key;
	char zone[ZONE_NAME];
	union {
		__u32 v4;
		__u8 v6[16];
	};
	struct flags flags;
	enum huge huge;
	enum chill chill;
	const volatile char *note;
	struct event *next;
	double ratio;
} __tag("shown");

struct nowhere;
union nothing;

struct odd {
	struct nowhere *nowhere;
	union nothing *nothing;
	char *restrict alone;
	int __attribute__((btf_type_tag("user"))) *tagged;
	int (*handler)(struct odd *odd, const char *format, ...);
	int grid[2][3];
	__u8 tail[];
} odd_one;

/* CO-RE: only the members named here are known. */
struct sock_common {
	__u16 skc_family;
	__u32 skc_daddr;
} __core;
struct sock {
	struct sock_common __sk_common;
	int sk_err : 3;
} __core;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__uint(map_flags, 1);
	__uint(pinning, 1);
	__type(key, struct key);
	__type(value, struct event);
} conns SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 18);
} events SEC(".maps");

struct inner {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u64);
} inner_a SEC(".maps"), inner_b SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 3);
	__type(key, __u32);
	__array(values, struct inner);
} outer SEC(".maps") = {.values = {[0] = &inner_a, [2] = &inner_b}};

int on_open(void *ctx);

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 2);
	__uint(key_size, 4);
	__array(values, int(void *));
} jumps SEC(".maps") = {.values = {[1] = (void *)&on_open}};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 7);
	__uint(key_size, 4);
	__uint(value_size, 12);
	__uint(numa_node, 2);
	__ulong(map_extra, 0x300000005ULL);
} raw SEC(".maps");

char LICENSE[] SEC("license") = "GPL";
__u32 VERSION SEC("version") = 7;

const volatile __u32 target_pid = 42;
const volatile struct key wanted = {.pid = 1, .port = 443, .side = SIDE_SERVER};
static const volatile __u8 levels[4] = {1, 2, 3, 4};
__u64 counter = 9;
__u32 table[3] SEC(".data.extra") = {7, 8, 9};
__u64 seen;
static __u32 hidden_count;
const struct event *unused_event __attribute__((unused));

extern int CONFIG_HZ __kconfig;
extern bool CONFIG_BPF_LSM __kconfig __weak;
extern const void init_task __ksym;
extern int bpf_missing_kfunc(struct sock *sk) __ksym __weak;

struct tcp_ops {
	int (*init)(struct sock *sk);
	void (*release)(struct sock *sk);
	char name[16];
	__u32 flags;
};

static __noinline int shared_step(int x)
{
	return x * 3 + levels[x & 3];
}

__hidden __noinline int global_step(int x)
{
	hidden_count += x;
	return shared_step(x) + 1;
}

SEC("tp_btf/inet_sock_set_state")
int on_state(__u64 *ctx)
{
	struct sock *sk = (struct sock *)ctx[0];
	struct key key = {.pid = target_pid};
	struct event *event = bpf_map_lookup_elem(&conns, &key);

	if (!event || key.pid == wanted.pid)
		return 0;
	event->key.port = sk->__sk_common.skc_daddr;
	counter += global_step(event->chill) + sk->sk_err;
	if (__builtin_preserve_field_info(sk->__sk_common.skc_family, 2))
		seen += __builtin_btf_type_id(*(struct event *)0, 0);
	return __builtin_preserve_type_info(*(struct sock *)0, 0) + CONFIG_HZ;
}

SEC("?kprobe/tcp_connect")
int on_connect(void *ctx)
{
	seen += (__u64)&init_task + table[0] + CONFIG_BPF_LSM;
	if (bpf_missing_kfunc)
		seen += bpf_missing_kfunc(ctx);
	return 0;
}

SEC("fentry.s/security_file_open")
int on_open(void *ctx)
{
	return shared_step(bpf_get_current_pid_tgid());
}

SEC("xdp")
int xdp_first(void *ctx)
{
	return global_step(1);
}

SEC("xdp")
int xdp_second(void *ctx)
{
	__u32 zero = 0;
	struct event event = {.huge = HUGE_LAST, .chill = CHILL_COLD};
	bpf_map_update_elem(&raw, &zero, &event, 0);
	bpf_map_lookup_elem(&outer, &zero);
	bpf_map_lookup_elem(&events, &zero);
	bpf_map_lookup_elem(&jumps, &zero);
	return global_step(2);
}

SEC("struct_ops/init")
int ops_init(void *ctx)
{
	return 0;
}

SEC(".struct_ops.link")
struct tcp_ops sample_ops = {
	.init = (void *)ops_init,
	.name = "sample",
	.flags = 5,
};
