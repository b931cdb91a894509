#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
struct sock *p, q;
SEC("tc") int f(void *c) { return q.sk_mark + (p == c); }
char LICENSE[] SEC("license") = "GPL";
