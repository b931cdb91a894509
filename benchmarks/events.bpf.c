/* Loaded by benchmarks/loader.py and leaks.py: a ring of 32-byte events, a perf buffer, a hash, an attached program. */
#include "mini_bpf.h"

static void *(*bpf_ringbuf_reserve)(void *ringbuf, __u64 size, __u64 flags) = (void *)131;
static void (*bpf_ringbuf_submit)(void *data, __u64 flags) = (void *)132;

struct event {
	__u64 number;
	__u32 pid;
	__u32 uid;
	char comm[16];
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4 << 20);
	__type(value, struct event);
} events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(key_size, 4);
	__uint(value_size, 4);
} samples SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 10000);
	__type(key, __u32);
	__type(value, __u64);
} counters SEC(".maps");

char LICENSE[] SEC("license") = "GPL";

__u64 number;
__u64 events_lost;

SEC("tc")
int produce(void *ctx)
{
	struct event *event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);

	if (!event) {
		events_lost++;
		return 1;
	}
	event->number = number++;
	event->pid = 1000 + (number & 63);
	event->uid = 0;
	__builtin_memcpy(event->comm, "benchmark-00\0\0\0", 16);
	event->comm[10] += number & 7;
	bpf_ringbuf_submit(event, 0);
	return 0;
}

SEC("raw_tp/sched_process_exec")
int on_exec(void *ctx)
{
	number++;
	return 0;
}
