#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
SEC("kprobe/tcp_v4_connect") int BPF_KPROBE(f, struct sock *sk, struct sockaddr *ua, int len) { struct pt_regs *r = ctx; return BPF_CORE_READ(sk, sk_socket, file, f_inode, i_sb, s_dev) + len + (PT_REGS_IP(r) != 0) + (ua->sa_family); }
SEC("kretprobe/tcp_v4_connect") int BPF_KRETPROBE(g, int ret) { return ret; }
SEC("ksyscall/kill") int BPF_KSYSCALL(k, int pid, int sig) { return pid + sig; }
char LICENSE[] SEC("license") = "GPL";
