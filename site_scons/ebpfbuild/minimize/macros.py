"""Lists what a program may miss that is in no BTF: the kernel's #defines, and the C library."""

# The same on every arch. Sources: include/linux/socket.h; include/uapi/linux/if_ether.h, pkt_cls.h, stat.h, in.h.
VALUES = {
    "AF_UNIX": "1",
    "AF_INET": "2",
    "AF_INET6": "10",
    "AF_NETLINK": "16",
    "AF_PACKET": "17",
    "ETH_ALEN": "6",
    "ETH_HLEN": "14",
    "ETH_P_IP": "0x0800",
    "ETH_P_ARP": "0x0806",
    "ETH_P_8021Q": "0x8100",
    "ETH_P_IPV6": "0x86DD",
    "ETH_P_8021AD": "0x88A8",
    "TC_ACT_UNSPEC": "(-1)",
    "TC_ACT_OK": "0",
    "TC_ACT_SHOT": "2",
    "TC_ACT_PIPE": "3",
    "TC_ACT_STOLEN": "4",
    "TC_ACT_REDIRECT": "7",
    "S_IFMT": "00170000",
    "S_IFREG": "0100000",
    "S_IFDIR": "0040000",
    "INADDR_ANY": "0",
    "INADDR_LOOPBACK": "0x7f000001",
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
