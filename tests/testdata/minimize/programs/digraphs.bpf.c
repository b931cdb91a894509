#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
%:define TAG struct
TAG page *pg<:2:>; TAG mine <% TAG dentry *d<:2:>; int a; %> my; int z = sizeof(TAG <:<:clang::annotate("x"):>:> other <% TAG iphdr; int q; %>);
SEC("tc") int f(void *c) <% return pg<:0:> == c; %>
char LICENSE[] SEC("license") = "GPL";
