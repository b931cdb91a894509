#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
int sock(int file) { struct file *task = 0; enum { inode = 3 } e = inode; return file + (task == 0) + e; }
SEC("tc") int f(void *c) { int request = sock(3); struct cred; struct cred *x = c; return request + (x != 0); }
char LICENSE[] SEC("license") = "GPL";
