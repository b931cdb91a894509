#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
SEC("tc") int f(void *c) { struct iphdr { u64 mine; } *i = c; union both { struct sock *s; u64 n; } b = { .n = i->mine }; { struct iphdr; struct iphdr *j = c; return (j != 0) + (b.s != 0); } }
char LICENSE[] SEC("license") = "GPL";
