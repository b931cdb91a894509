#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
struct in6_addr list[4]; struct sockaddr_in sin4; struct sockaddr_in6 sin6[2];
SEC("tc") int f(void *c) { return list[2].in6_u.u6_addr8[3] + sin4.sin_port + sin6[1].sin6_port; }
char LICENSE[] SEC("license") = "GPL";
