#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#define private(name) SEC(".bss." #name) __attribute__((aligned(8)))
struct node { struct bpf_rb_node n; struct bpf_refcount r; u64 key; };
private(A) struct bpf_spin_lock lock; private(A) struct bpf_rb_root root __attribute__((btf_decl_tag("contains:node:n")));
SEC("tc") int f(void *c) { struct node *n = bpf_obj_new_impl(bpf_core_type_id_local(struct node), 0); if (!n) return 0; n->key = 1; bpf_obj_drop_impl(n, 0); return 1; }
char LICENSE[] SEC("license") = "GPL";
