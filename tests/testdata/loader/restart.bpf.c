/* A daemon's programs: each hands numbered traffic to one ring, from which no start and no end of it may take any. */
#include "mini_bpf.h"

#define NUMBERS 1000000 /* the most that a run of the tests takes */
#define DATAGRAM 32 /* bytes of IP, UDP and the number: the length by which a packet is told from others of a cgroup */

static void *(*bpf_ringbuf_reserve)(void *ring, __u64 size, __u64 flags) = (void *)131;
static void (*bpf_ringbuf_submit)(void *data, __u64 flags) = (void *)132;
static long (*bpf_skb_load_bytes)(const void *skb, __u32 offset, void *to, __u32 len) = (void *)26;

char LICENSE[] SEC("license") = "GPL";

struct event {
	__u32 number;
	__u32 program;
};

struct __sk_buff {
	__u32 len;
};

struct xdp_md {
	__u32 data;
	__u32 data_end;
};

const volatile __u32 version;
const volatile __u32 first_number; /* each run of the tests has numbers of its own: its programs see the others' traffic */
__u64 events_lost;
__u64 seen;
#ifdef NEXT_VERSION
__u64 seen_by_version[4];
#endif

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
	__type(value, struct event);
} events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, __u64);
} counts SEC(".maps");

static inline __attribute__((always_inline)) void hand_on(__u32 number, __u32 program)
{
	struct event *event;

	if (number - first_number >= NUMBERS)
		return;
	__atomic_fetch_add(&seen, 1, __ATOMIC_RELAXED);
#ifdef NEXT_VERSION
	__atomic_fetch_add(&seen_by_version[version & 3], 1, __ATOMIC_RELAXED);
#endif
	event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
	if (!event) {
		__atomic_fetch_add(&events_lost, 1, __ATOMIC_RELAXED);
		return;
	}
	event->number = number;
	event->program = program + version;
	bpf_ringbuf_submit(event, 0);
}

static inline __attribute__((always_inline)) int hand_on_packet(struct __sk_buff *skb, __u32 offset, __u32 program, int verdict)
{
	__u32 number = 0;

	if (!bpf_skb_load_bytes(skb, offset, &number, sizeof(number)))
		hand_on(number, program);
	return verdict;
}

/* A system call that isn't there has a number all the same. */
SEC("?raw_tp/sys_enter")
int on_call(__u64 *ctx)
{
	hand_on(ctx[1], 100);
	return 0;
}

SEC("?tp_btf/sys_enter")
int on_typed_call(__u64 *ctx)
{
	hand_on(ctx[1], 200);
	return 0;
}

SEC("?tp/raw_syscalls/sys_enter")
int on_traced_call(__u64 *ctx)
{
	hand_on(ctx[1], 300);
	return 0;
}

SEC("?xdp")
int on_xdp(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;

	if (data + 46 <= end)
		hand_on(*(__u32 *)(data + 42), 400);
	return 2;
}

SEC("?tc")
int on_tc(struct __sk_buff *skb)
{
	return hand_on_packet(skb, 42, 500, -1);
}

SEC("?cgroup_skb/egress")
int on_egress(struct __sk_buff *skb)
{
	return skb->len == DATAGRAM ? hand_on_packet(skb, 28, 600, 1) : 1;
}

SEC("?raw_tp/sys_exit")
int on_exit(__u64 *ctx)
{
	__u32 key = 1;
	__u64 *count = bpf_map_lookup_elem(&counts, &key);

	if (count)
		__atomic_fetch_add(count, 1, __ATOMIC_RELAXED);
	return 0;
}
