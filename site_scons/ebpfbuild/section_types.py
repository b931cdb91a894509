"""Which program type libbpf derives from a section's name.

The table is libbpf 1.5's `section_defs` (src/libbpf.c): a name with `+` may be followed by `/` and the target, any
other must match whole. Types are spelled as in `bpftool prog` and `BPF_PROG_TYPE_*` without the prefix.
"""

PROGRAM_TYPES = {
    "socket": "socket_filter",
    "sk_reuseport/migrate": "sk_reuseport",
    "sk_reuseport": "sk_reuseport",
    **dict.fromkeys(
        """kprobe+ uprobe+ uprobe.s+ kretprobe+ uretprobe+ uretprobe.s+ kprobe.multi+ kretprobe.multi+ kprobe.session+
        uprobe.multi+ uretprobe.multi+ uprobe.session+ uprobe.multi.s+ uretprobe.multi.s+ uprobe.session.s+
        ksyscall+ kretsyscall+ usdt+ usdt.s+""".split(),
        "kprobe",
    ),
    **dict.fromkeys("tc/ingress tc/egress tcx/ingress tcx/egress tc classifier netkit/primary netkit/peer".split(), "sched_cls"),
    "action": "sched_act",
    **dict.fromkeys(("tracepoint+", "tp+"), "tracepoint"),
    **dict.fromkeys(("raw_tracepoint+", "raw_tp+"), "raw_tracepoint"),
    **dict.fromkeys(("raw_tracepoint.w+", "raw_tp.w+"), "raw_tracepoint_writable"),
    **dict.fromkeys("tp_btf+ fentry+ fmod_ret+ fexit+ fentry.s+ fmod_ret.s+ fexit.s+ iter+ iter.s+".split(), "tracing"),
    "freplace+": "ext",
    **dict.fromkeys(("lsm+", "lsm.s+", "lsm_cgroup+"), "lsm"),
    "syscall": "syscall",
    **dict.fromkeys("xdp.frags/devmap xdp/devmap xdp.frags/cpumap xdp/cpumap xdp.frags xdp".split(), "xdp"),
    "perf_event": "perf_event",
    "lwt_in": "lwt_in",
    "lwt_out": "lwt_out",
    "lwt_xmit": "lwt_xmit",
    "lwt_seg6local": "lwt_seg6local",
    "sockops": "sock_ops",
    **dict.fromkeys(("sk_skb/stream_parser", "sk_skb/stream_verdict", "sk_skb/verdict", "sk_skb"), "sk_skb"),
    "sk_msg": "sk_msg",
    "lirc_mode2": "lirc_mode2",
    "flow_dissector": "flow_dissector",
    **dict.fromkeys(("cgroup_skb/ingress", "cgroup_skb/egress", "cgroup/skb"), "cgroup_skb"),
    **dict.fromkeys(
        "cgroup/sock_create cgroup/sock_release cgroup/sock cgroup/post_bind4 cgroup/post_bind6".split(), "cgroup_sock"
    ),
    **dict.fromkeys(
        [
            f"cgroup/{hook}{family}"
            for hook, families in (
                ("bind", ("4", "6")),
                *((hook, ("4", "6", "_unix")) for hook in ("connect", "sendmsg", "recvmsg", "getpeername", "getsockname")),
            )
            for family in families
        ],
        "cgroup_sock_addr",
    ),
    "cgroup/sysctl": "cgroup_sysctl",
    **dict.fromkeys(("cgroup/getsockopt", "cgroup/setsockopt"), "cgroup_sockopt"),
    "cgroup/dev": "cgroup_device",
    **dict.fromkeys(("struct_ops+", "struct_ops.s+"), "struct_ops"),
    "sk_lookup": "sk_lookup",
    "netfilter": "netfilter",
}


def program_type(section: str) -> str:
    """libbpf's program type for a section such as `kprobe/tcp_connect`; empty where libbpf would guess none.

    A leading `?` (not loaded unless asked for) doesn't count.
    """
    name = section.removeprefix("?")
    return PROGRAM_TYPES.get(name) or PROGRAM_TYPES.get(name.split("/", 1)[0] + "+", "")
