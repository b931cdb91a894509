#include "mini_bpf.h"

char LICENSE[] SEC("license") = "GPL";

int total = 3;
static volatile int calls;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} noted SEC(".maps");

__hidden __noinline int note(int by)
{
	__u32 slot = 0;
	__u64 *value = bpf_map_lookup_elem(&noted, &slot);

	calls += 1;
	total += by;
	if (value)
		*value += 1;
	return calls;
}

__noinline int factor(int x)
{
	return x * 2;
}
