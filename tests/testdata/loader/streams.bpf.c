/* Writes to its own stream, where the kernel has streams (Linux 6.17). */
#include "mini_bpf.h"

char LICENSE[] SEC("license") = "GPL";

extern int bpf_stream_vprintk_impl(int stream_id, const char *fmt__str, const void *args, __u32 len__sz,
				   void *aux__prog) __weak __ksym;

SEC("?syscall")
int speak(void *ctx)
{
	static const char format[] = "%d and %d\n";
	__u64 values[] = {1, 2};

	return bpf_stream_vprintk_impl(1, format, values, sizeof(values), 0);
}
