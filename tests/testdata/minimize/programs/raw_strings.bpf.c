#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
const char a[] = R"x(struct page " ')")x"; struct page *pg[2]; const char b[] = u8R"(
# 1 "bpf/bpf_helper_defs.h"
)"; struct super_block *sb[2]; const char d[] = "'\"R\"("; struct vfsmount *vm[2]; const char q = '"'; struct dentry *de[2];
SEC("tc") int f(void *c) { return pg[0] == c; }
char LICENSE[] SEC("license") = "GPL";
