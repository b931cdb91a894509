/* A kprobe that reads its arguments out of the registers that UAPI has of each arch. */
#include <linux/ptrace.h>
#include <linux/types.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <linux/bpf_perf_event.h>
#include <linux/sched.h>
#include <linux/signal.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

struct event {
	__u64 first;
	__u32 size;
};

const volatile int fatal = SIGKILL;
struct event last;

SEC("kprobe/do_exit")
int BPF_KPROBE(on_exit, long code)
{
	last.first = code & (CLONE_NEWNS | CSIGNAL);
	last.size = code == fatal ? sizeof(last) : __BITS_PER_LONG;
	return 0;
}

SEC("perf_event")
int sample(struct bpf_perf_event_data *ctx)
{
	return ctx->sample_period > 1 ? 0 : 1;
}

char _license[] SEC("license") = "GPL";
