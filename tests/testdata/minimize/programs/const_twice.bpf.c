#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
struct two { const struct cred *a; struct path const *b; const struct cred *d; volatile struct path *e; struct path const *const g; } v;
SEC("tc") int f(void *c) { return v.a == c; }
char LICENSE[] SEC("license") = "GPL";
