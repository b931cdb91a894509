#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
struct rec { struct hlist_head heads[0]; u32 n; struct cpumask mask[]; };
int z[] = { sizeof(struct rec), sizeof(struct bpf_prog), sizeof(struct sk_filter), sizeof(struct nameidata *) };
SEC("tp_btf/x") int f(u64 *c) { struct bpf_prog *p = (void *)c[0]; return p->insnsi[0].code + p->aux->id; }
char LICENSE[] SEC("license") = "GPL";
