#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
static int (*one)(struct sock **) = (void *)6, (*volatile two)(struct page **, struct dentry *[2]) = (void *)7;
static struct inode *in[2], *(*volatile three)(int) = (void *)1;
SEC("tc") int f(void *c) { return one(c) + two(c, c) + (three(1) == in[0]); }
char LICENSE[] SEC("license") = "GPL";
