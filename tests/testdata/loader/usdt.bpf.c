/* Static probes with libbpf's own usdt.bpf.h: every argument of a probe, its number and its cookie. */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/usdt.bpf.h>

long hits, count, cookie, arguments[12], second;

SEC("usdt")
int on_probe(struct pt_regs *ctx)
{
	long value;

#define READ(number)                            \
	if (!bpf_usdt_arg(ctx, number, &value)) \
		arguments[number] = value;
	READ(0) READ(1) READ(2) READ(3) READ(4) READ(5)
	READ(6) READ(7) READ(8) READ(9) READ(10) READ(11)
	count = bpf_usdt_arg_cnt(ctx);
	cookie = bpf_usdt_cookie(ctx);
	__atomic_fetch_add(&hits, 1, __ATOMIC_RELAXED);
	return 0;
}

SEC("usdt")
int BPF_USDT(on_typed, int first, long other)
{
	second = first + other;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
