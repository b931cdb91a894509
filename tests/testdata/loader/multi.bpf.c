/* Functions that only test runs of tracing programs call (net/bpf/test_run.c), many at once: libbpf 1.8, Linux 7.2. */
#include "mini_bpf.h"

static __u64 (*bpf_get_attach_cookie)(void *ctx) = (void *)174;

__u64 seen, cookies;

SEC("?fentry.multi/bpf_fentry_test*")
int on_many(void *ctx)
{
	__atomic_fetch_add(&seen, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&cookies, bpf_get_attach_cookie(ctx), __ATOMIC_RELAXED);
	return 0;
}

SEC("?fentry/bpf_fentry_test1")
int on_one(void *ctx)
{
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
