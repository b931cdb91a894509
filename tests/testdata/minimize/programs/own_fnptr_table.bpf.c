#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
struct handlers { int (*one)(struct sock *, const struct cred *); struct dentry *(*two[2])(struct inode *); void (*three)(int (*)(struct page **)); } h;
SEC("tc") int f(void *c) { return h.one == c; }
char LICENSE[] SEC("license") = "GPL";
