#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
SEC("tp_btf/x") int f(u64 *c) { struct sock *s = (void *)c[0]; return bpf_core_field_size(s->sk_lock) + bpf_core_field_offset(struct sock, sk_cgrp_data) + bpf_core_field_exists(struct sock, sk_protocol) + bpf_core_field_exists(s->sk_socket->file->f_inode); }
char LICENSE[] SEC("license") = "GPL";
