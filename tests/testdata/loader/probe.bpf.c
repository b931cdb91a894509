/* What the loader's tests load into the kernel. */
#include "mini_bpf.h"

#define PERCPU_HASH 5
#define PERCPU_ARRAY 6
#define LRU_HASH 9
#define LPM_TRIE 11

static void *(*bpf_ringbuf_reserve)(void *ringbuf, __u64 size, __u64 flags) = (void *)131;
static void (*bpf_ringbuf_submit)(void *data, __u64 flags) = (void *)132;
static void (*bpf_ringbuf_discard)(void *data, __u64 flags) = (void *)133;

enum color { COLOR_RED = 1, COLOR_BLUE = 2 };

struct key {
	__u64 id;
	__u16 port; /* six bytes of padding follow */
};

struct value {
	__u64 count;
	char comm[16];
	__u8 address[4];
	enum color color;
};

struct event {
	__u64 number;
	__u32 pid;
	enum color color;
	char comm[8];
	__u8 bytes[8];
};

struct prefix {
	__u32 length;
	__u8 address[4];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 10000);
	__type(key, struct key);
	__type(value, struct value);
} table SEC(".maps");

struct {
	__uint(type, LRU_HASH);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, __u64);
} recent SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 8);
	__type(key, __u32);
	__type(value, struct value);
} slots SEC(".maps");

struct {
	__uint(type, PERCPU_HASH);
	__uint(max_entries, 16);
	__type(key, __u32);
	__type(value, __u32);
} percpu_table SEC(".maps");

struct {
	__uint(type, PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} percpu_slots SEC(".maps");

struct {
	__uint(type, LPM_TRIE);
	__uint(max_entries, 16);
	__uint(map_flags, 1);
	__type(key, struct prefix);
	__type(value, __u32);
} routes SEC(".maps");

struct {
	struct event (*type)[BPF_MAP_TYPE_RINGBUF];
	__uint(max_entries, 1 << 18);
} events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} untyped SEC(".maps");

char LICENSE[] SEC("license") = "GPL";

const volatile __u32 target_pid;
const volatile __u32 start = 5;
__u64 hits;
__u64 connects;
__u64 next_number = 100;
__u32 discard_every;

SEC("tc")
int emit(void *ctx)
{
	struct event *event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
	if (!event)
		return -1;
	event->number = next_number++;
	event->pid = start;
	event->color = COLOR_BLUE;
	__builtin_memcpy(event->comm, "probe\0xx", 8);
	__builtin_memcpy(event->bytes, "\1\2\3\4\5\6\7\0", 8);
	if (discard_every && event->number % discard_every == 0)
		bpf_ringbuf_discard(event, 0);
	else
		bpf_ringbuf_submit(event, 0);
	return 7;
}

SEC("tc")
int emit_untyped(void *ctx)
{
	char *small = bpf_ringbuf_reserve(&untyped, 3, 0);
	if (!small)
		return -1;
	__builtin_memcpy(small, "abc", 3);
	bpf_ringbuf_submit(small, 0);
	__u64 *large = bpf_ringbuf_reserve(&untyped, 16, 0);
	if (!large)
		return -1;
	large[0] = large[1] = ~0ULL;
	bpf_ringbuf_submit(large, 0);
	return 0;
}

/* Too short for struct event. */
SEC("tc")
int emit_short(void *ctx)
{
	__u32 *number = bpf_ringbuf_reserve(&events, 4, 0);
	if (!number)
		return -1;
	*number = 9;
	bpf_ringbuf_submit(number, 0);
	return 0;
}

SEC("tc")
int fill(void *ctx)
{
	__u32 zero = 0;
	__u64 *slot = bpf_map_lookup_elem(&percpu_slots, &zero);
	struct key key = {.id = 77, .port = 443};
	struct value value = {.count = 3, .comm = "from-bpf", .address = {127, 0, 0, 1}, .color = COLOR_RED};
	if (slot)
		*slot = 11;
	bpf_map_update_elem(&table, &key, &value, 0);
	return 0;
}

SEC("raw_tp/sys_enter")
int on_enter(void *ctx)
{
	if (bpf_get_current_pid_tgid() >> 32 == target_pid)
		__atomic_fetch_add(&hits, 1, __ATOMIC_RELAXED);
	return 0;
}

SEC("raw_tp")
int on_named(void *ctx)
{
	return on_enter(ctx);
}

SEC("cgroup/connect4")
int on_connect(void *ctx)
{
	__atomic_fetch_add(&connects, 1, __ATOMIC_RELAXED);
	return 1;
}

SEC("xdp")
int pass(void *ctx)
{
	return 2;
}

SEC("?raw_tp/sys_enter")
int refused(__u64 *ctx)
{
	__u64 *wild = (void *)ctx[0];
	return *(volatile __u64 *)(wild + 1000);
}

SEC("?tp_btf/no_such_tracepoint")
int nowhere(void *ctx)
{
	return 0;
}

SEC("?raw_tp/no_such_tracepoint")
int unattachable(void *ctx)
{
	return 0;
}
