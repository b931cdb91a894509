#include "mini_bpf.h"

char LICENSE[] SEC("license") = "GPL";

extern int total;
extern int note(int by);
extern struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} noted __attribute__((section(".maps")));

__weak __noinline int factor(int x)
{
	return x;
}

SEC("socket") int count(void *ctx)
{
	__u32 slot = 0;
	__u64 *value = bpf_map_lookup_elem(&noted, &slot);

	return note(2) + total * 100 + (value ? *value * 1000 : 0) + factor(10000);
}
