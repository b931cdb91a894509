#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
extern const struct rq runqueues __ksym; extern const int bpf_prog_active __ksym; extern const void init_task __ksym; extern struct net init_net __ksym;
SEC("tc") int f(void *c) { struct rq *r = (void *)bpf_per_cpu_ptr(&runqueues, 0); return (r ? r->cpu : 0) + (&init_task != 0) + init_net.ifindex; }
char LICENSE[] SEC("license") = "GPL";
