#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
SEC("tc") int f(void *c) { return bpf_core_type_exists(struct bpf_ringbuf) + bpf_core_type_size(struct sock) + bpf_core_type_matches(struct list_head) + bpf_core_type_exists(enum bpf_map_type) + bpf_core_type_exists(atomic_t) + bpf_core_type_id_kernel(struct file) + bpf_core_type_id_local(struct mnt_idmap) + bpf_core_type_matches(struct task_struct); }
char LICENSE[] SEC("license") = "GPL";
