/* Maps of equal sizes and, with OTHER_LAYOUT, of other members: what a daemon's next version may find pinned. */
#include "mini_bpf.h"

char LICENSE[] SEC("license") = "GPL";

struct traffic {
#ifdef OTHER_LAYOUT
	__u64 sent;
	__u64 received;
#else
	__u64 received;
	__u64 sent;
#endif
};

#ifdef OTHER_LAYOUT
__u32 dropped, passed;
#else
__u32 passed, dropped;
#endif

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8);
	__type(key, __u32);
	__type(value, struct traffic);
} hosts SEC(".maps");

SEC("raw_tp/sys_enter")
int on_call(void *ctx)
{
#ifdef OTHER_LAYOUT
	__atomic_fetch_add(&dropped, 1, __ATOMIC_RELAXED);
#endif
	__atomic_fetch_add(&passed, 1, __ATOMIC_RELAXED);
	return 0;
}
