#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
struct request { int tag; struct request_queue *q; };
SEC("tp_btf/block_rq_issue") int BPF_PROG(f, struct request *rq) { return rq->tag + (BPF_CORE_READ(rq, q) != 0); }
char LICENSE[] SEC("license") = "GPL";
