"""Lists what a program may miss that is in no BTF: the kernel's #defines, and the C library."""

# What is in no UAPI header either, the same on every arch. Sources: include/linux/socket.h, include/linux/sched.h.
VALUES = {
    "AF_UNIX": "1",
    "AF_INET": "2",
    "AF_INET6": "10",
    "AF_NETLINK": "16",
    "AF_PACKET": "17",
    "SOL_IP": "0",
    "SOL_TCP": "6",
    "SOL_UDP": "17",
    "SOL_IPV6": "41",
    "TASK_COMM_LEN": "16",
}

# What a BPF program writes for a function of the C library.
INSTEAD = {
    "printf": "bpf_printk of <bpf/bpf_helpers.h>, which prints to the kernel's trace_pipe",
    "snprintf": "BPF_SNPRINTF, a macro of libbpf's",
    "strcmp": "bpf_strncmp, a helper",
    "strncmp": "bpf_strncmp, a helper",
    "malloc": "a map",
    "memcpy": "__builtin_memcpy",
    "memmove": "__builtin_memmove",
    "memset": "__builtin_memset",
    "memcmp": "__builtin_memcmp",
}
