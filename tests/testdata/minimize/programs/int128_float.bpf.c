#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
struct w { __int128 a; double *d; long double *l; struct kernel_fpu_context *k; } w;
SEC("tc") int f(void *c) { return w.a != 0; }
char LICENSE[] SEC("license") = "GPL";
