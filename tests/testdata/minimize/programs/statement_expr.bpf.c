#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#define FIRST(x) ({ typeof(x) _x = (x); _x ? _x->next : 0; })
SEC("tp_btf/x") int f(u64 *c) { struct sk_buff *s = (void *)c[0]; struct sk_buff *n = FIRST(s); return n ? n->len : 0; }
char LICENSE[] SEC("license") = "GPL";
