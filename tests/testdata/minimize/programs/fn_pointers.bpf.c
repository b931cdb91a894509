#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
SEC("tp_btf/x") int f(u64 *c) { struct file *p = (void *)c[0]; const struct file_operations *o = p->f_op; typeof(o->read_iter) r = o->read_iter; return (r != 0) + (o->poll == 0); }
char LICENSE[] SEC("license") = "GPL";
