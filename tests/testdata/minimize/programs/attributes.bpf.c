#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
struct __attribute((aligned(8))) __attribute__((annotate("a) { "))) page *pg[2];
struct /* x */ __attribute__((aligned(sizeof(struct list_head)))) super_block *sb[2];
struct __declspec(align(8)) vfsmount *vm[2];
struct __attribute__((btf_decl_tag("t)"))) mine { struct dentry *d[2]; } my;
SEC("tc") int f(void *c) { return pg[0] == c; }
char LICENSE[] SEC("license") = "GPL";
