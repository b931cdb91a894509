#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#define J(a, b) a##b
#define S(x) J(str, uct) J(x, _struct)
S(task) *tk[2]; struct J(in, ode) *in[2];
SEC("tp_btf/x") int f(u64 *c) { S(mm) *m = (void *)c[0]; return m->J(p, gd) != 0; }
char LICENSE[] SEC("license") = "GPL";
