#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
struct sockaddr_in *p = &(struct sockaddr_in){ .sin_port = 3, .sin_addr.s_addr = 7, .__pad = { [0 ... 3] = 1 } };
SEC("tc") int f(void *c) { return p->sin_port + ((struct bpf_fib_lookup){ .ifindex = 3, .ipv4_src = 1 }).ifindex; }
char LICENSE[] SEC("license") = "GPL";
