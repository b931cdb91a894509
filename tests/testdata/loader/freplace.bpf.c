/* Takes the place of a function of another program. */
#include "mini_bpf.h"

char LICENSE[] SEC("license") = "GPL";

struct __sk_buff {
	__u32 len;
};

SEC("freplace")
int replacement(struct __sk_buff *ctx)
{
	return 77;
}
