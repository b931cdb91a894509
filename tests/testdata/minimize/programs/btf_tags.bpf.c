#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#define __mine __attribute__((btf_type_tag("mine")))
struct tagged { struct sock __mine *a; struct page __mine *__mine *b; struct cred const __mine *d; int (__mine *fn)(struct dentry *); } tg;
typedef struct inode __mine *ino_t_; ino_t_ it;
SEC("tc") int f(void *c) { return tg.a == c; }
char LICENSE[] SEC("license") = "GPL";
