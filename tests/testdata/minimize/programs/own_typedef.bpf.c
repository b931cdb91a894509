#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
typedef struct inode node_t; typedef node_t *node_p; typedef node_p nodes_t[3]; typedef const node_t *(*finder)(node_p);
nodes_t n; node_t *const *q; finder fi;
SEC("tc") int f(void *c) { return n[1] == c; }
char LICENSE[] SEC("license") = "GPL";
