"""Lists what a program may miss that is in no BTF: the kernel's #defines, the C library, and macros of bcc's."""

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

# What bcc makes maps and programs of. Source: src/cc/export/helpers.h of iovisor/bcc; none is a macro of libbpf's.
BCC = frozenset(
    """BPF_ARRAY BPF_ARRAY_OF_MAPS BPF_CGROUP_ARRAY BPF_CGROUP_STORAGE BPF_CPUMAP BPF_DEVMAP BPF_F_TABLE BPF_HASH
BPF_HASH_OF_MAPS BPF_HISTOGRAM BPF_INODE_STORAGE BPF_LPM_TRIE BPF_PERCPU_ARRAY BPF_PERCPU_HASH BPF_PERF_ARRAY
BPF_PERF_OUTPUT BPF_PROG_ARRAY BPF_QUEUE BPF_RINGBUF_OUTPUT BPF_SK_STORAGE BPF_SOCKHASH BPF_SOCKMAP BPF_STACK
BPF_STACK_TRACE BPF_STACK_TRACE_BUILDID BPF_TABLE BPF_TABLE_PINNED BPF_TABLE_PUBLIC BPF_TABLE_SHARED BPF_TASK_STORAGE
BPF_XSKMAP KFUNC_PROBE KMOD_RET KRETFUNC_PROBE LSM_PROBE MODULE_KFUNC_PROBE RAW_TRACEPOINT_PROBE
TRACEPOINT_PROBE""".split()
)
