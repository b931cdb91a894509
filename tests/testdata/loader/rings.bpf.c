/* What the tests of ring buffers, perf buffers and user ring buffers load: producers whose records can be checked. */
#include "mini_bpf.h"

#define BPF_MAP_TYPE_USER_RINGBUF 31
#define BPF_F_CURRENT_CPU 0xffffffffULL

static long (*bpf_perf_event_output)(void *ctx, void *map, __u64 flags, void *data, __u64 size) = (void *)25;
static long (*bpf_ringbuf_output)(void *ringbuf, void *data, __u64 size, __u64 flags) = (void *)130;
static void *(*bpf_ringbuf_reserve)(void *ringbuf, __u64 size, __u64 flags) = (void *)131;
static void (*bpf_ringbuf_submit)(void *data, __u64 flags) = (void *)132;
static void (*bpf_ringbuf_discard)(void *data, __u64 flags) = (void *)133;
static long (*bpf_dynptr_read)(void *dst, __u32 len, const void *src, __u32 offset, __u64 flags) = (void *)201;
static long (*bpf_user_ringbuf_drain)(void *map, void *callback, void *ctx, __u64 flags) = (void *)209;

/* 32 bytes: a number, and words that follow from it. */
struct numbered {
	__u64 number;
	__u32 words[6];
};

struct command {
	__u32 verb;
	__u32 argument;
	char text[8];
};

struct {
	struct numbered (*type)[BPF_MAP_TYPE_RINGBUF];
	__uint(max_entries, 1 << 18);
} ring SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
	__type(value, __u64);
} small SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 16);
} mixed SEC(".maps");

struct {
	struct numbered (*type)[BPF_MAP_TYPE_PERF_EVENT_ARRAY];
	__uint(key_size, 4);
	__uint(value_size, 4);
} perf SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(key_size, 4);
	__uint(value_size, 4);
} perf_bytes SEC(".maps");

struct {
	struct command (*type)[BPF_MAP_TYPE_USER_RINGBUF];
	__uint(max_entries, 4096);
} commands SEC(".maps");

struct {
	__uint(type, 6); /* BPF_MAP_TYPE_PERCPU_ARRAY */
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} small_lost SEC(".maps");

char LICENSE[] SEC("license") = "GPL";

__u64 next_number;
__u64 ring_lost;
__u64 submit_flags;
__u64 next_length = 1;
__u32 drain_flags;
__u64 drained;
__u64 argument_sum;
struct command last_command;

static void fill(struct numbered *record, __u64 number)
{
	record->number = number;
	for (int word = 0; word < 6; word++)
		record->words[word] = (__u32)number * 2654435761u + word;
}

SEC("tc")
int produce(void *ctx)
{
	struct numbered *record = bpf_ringbuf_reserve(&ring, sizeof(*record), 0);
	__u64 number = __sync_fetch_and_add(&next_number, 1);
	if (!record) {
		__atomic_fetch_add(&ring_lost, 1, __ATOMIC_RELAXED);
		return 1;
	}
	fill(record, number);
	bpf_ringbuf_submit(record, submit_flags);
	return 0;
}

SEC("tc")
int produce_small(void *ctx)
{
	__u32 zero = 0;
	__u64 number = next_number++;
	__u64 *lost = bpf_map_lookup_elem(&small_lost, &zero);
	if (bpf_ringbuf_output(&small, &number, sizeof(number), 0) && lost)
		*lost += 1;
	return 0;
}

/* 1 to 100 bytes, all of the length's value; each third one is discarded. */
SEC("tc")
int produce_mixed(void *ctx)
{
	__u64 length = next_length++ % 100 + 1;
	__u8 data[128];
	__builtin_memset(data, length, sizeof(data));
	if (next_length % 3 == 0) {
		void *gone = bpf_ringbuf_reserve(&mixed, 24, 0);
		if (gone)
			bpf_ringbuf_discard(gone, 0);
	}
	asm volatile("%0 &= 127" : "+r"(length)); /* the compiler knows its range, the verifier doesn't */
	return bpf_ringbuf_output(&mixed, data, length, 0) ? 1 : 0;
}

SEC("tc")
int produce_perf(void *ctx)
{
	struct numbered record;
	fill(&record, next_number++);
	return bpf_perf_event_output(ctx, &perf, BPF_F_CURRENT_CPU, &record, sizeof(record)) ? 1 : 0;
}

SEC("tc")
int produce_perf_short(void *ctx)
{
	__u64 number = next_number++;
	return bpf_perf_event_output(ctx, &perf, BPF_F_CURRENT_CPU, &number, 4) ? 1 : 0;
}

SEC("tc")
int produce_perf_bytes(void *ctx)
{
	char text[] = "abcdef";
	return bpf_perf_event_output(ctx, &perf_bytes, BPF_F_CURRENT_CPU, text, 6) ? 1 : 0;
}

static long take(void *dynptr, void *ctx)
{
	struct command command;
	if (bpf_dynptr_read(&command, sizeof(command), dynptr, 0, 0))
		return 1;
	drained++;
	argument_sum += command.argument;
	last_command = command;
	return 0;
}


SEC("tc")
int drain_now(void *ctx)
{
	return bpf_user_ringbuf_drain(&commands, take, 0, drain_flags);
}
