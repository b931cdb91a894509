"""Derives libbpf's program type from a section's name.

The table is `section_defs` of libbpf (src/libbpf.c, June 2026; an older libbpf knows fewer): a name that ends in `+`
may be followed by `/` and a target, any other must match whole. Types are BPF_PROG_TYPE_* in small letters.
"""

from difflib import get_close_matches

SECTIONS_BY_PROGRAM_TYPE = {
    "socket_filter": "socket",
    "sk_reuseport": "sk_reuseport/migrate sk_reuseport",
    "kprobe": """kprobe+ uprobe+ uprobe.s+ kretprobe+ uretprobe+ uretprobe.s+ kprobe.multi+ kretprobe.multi+
        kprobe.session+ uprobe.multi+ uretprobe.multi+ uprobe.session+ uprobe.multi.s+ uretprobe.multi.s+
        uprobe.session.s+ ksyscall+ kretsyscall+ usdt+ usdt.s+""",
    "sched_cls": "tc/ingress tc/egress tcx/ingress tcx/egress tc classifier netkit/primary netkit/peer",
    "sched_act": "action",
    "tracepoint": "tracepoint+ tracepoint.s+ tp+ tp.s+",
    "raw_tracepoint": "raw_tracepoint+ raw_tracepoint.s+ raw_tp+ raw_tp.s+",
    "raw_tracepoint_writable": "raw_tracepoint.w+ raw_tp.w+",
    "tracing": """tp_btf+ tp_btf.s+ fentry+ fmod_ret+ fexit+ fsession+ fentry.s+ fmod_ret.s+ fexit.s+ fsession.s+
        fentry.multi+ fexit.multi+ fsession.multi+ fentry.multi.s+ fexit.multi.s+ fsession.multi.s+ iter+ iter.s+""",
    "ext": "freplace+",
    "lsm": "lsm+ lsm.s+ lsm_cgroup+",
    "syscall": "syscall",
    "xdp": "xdp.frags/devmap xdp/devmap xdp.frags/cpumap xdp/cpumap xdp.frags xdp",
    "perf_event": "perf_event",
    "lwt_in": "lwt_in",
    "lwt_out": "lwt_out",
    "lwt_xmit": "lwt_xmit",
    "lwt_seg6local": "lwt_seg6local",
    "sock_ops": "sockops",
    "sk_skb": "sk_skb/stream_parser sk_skb/stream_verdict sk_skb/verdict sk_skb",
    "sk_msg": "sk_msg",
    "lirc_mode2": "lirc_mode2",
    "flow_dissector": "flow_dissector",
    "cgroup_skb": "cgroup_skb/ingress cgroup_skb/egress cgroup/skb",
    "cgroup_sock": "cgroup/sock_create cgroup/sock_release cgroup/sock cgroup/post_bind4 cgroup/post_bind6",
    "cgroup_sock_addr": """cgroup/bind4 cgroup/bind6 cgroup/connect4 cgroup/connect6 cgroup/connect_unix
        cgroup/sendmsg4 cgroup/sendmsg6 cgroup/sendmsg_unix cgroup/recvmsg4 cgroup/recvmsg6 cgroup/recvmsg_unix
        cgroup/getpeername4 cgroup/getpeername6 cgroup/getpeername_unix
        cgroup/getsockname4 cgroup/getsockname6 cgroup/getsockname_unix""",
    "cgroup_sysctl": "cgroup/sysctl",
    "cgroup_sockopt": "cgroup/getsockopt cgroup/setsockopt",
    "cgroup_device": "cgroup/dev",
    "struct_ops": "struct_ops+ struct_ops.s+",
    "sk_lookup": "sk_lookup",
    "netfilter": "netfilter",
}
TEXT = ".text"  # the section of what has no SEC(): subprograms
PROGRAM_TYPE_BY_SECTION = {name: kind for kind, names in SECTIONS_BY_PROGRAM_TYPE.items() for name in names.split()}


def program_type(section: str) -> str:
    """Returns libbpf's program type for a section such as `kprobe/tcp_connect`; empty where libbpf would guess none.

    A leading `?` (not loaded unless asked for) doesn't count.
    """
    name = section.removeprefix("?")
    return PROGRAM_TYPE_BY_SECTION.get(name) or PROGRAM_TYPE_BY_SECTION.get(name.partition("/")[0] + "+", "")


def nearest_section(section: str) -> str:
    """Returns the section that libbpf knows and a misspelt one may have meant, its target included.

    Empty where none is near.
    """
    name = section.removeprefix("?")
    head, slash, target = name.partition("/")
    open_ended = get_close_matches(head, [each[:-1] for each in PROGRAM_TYPE_BY_SECTION if each.endswith("+")])
    choices = [
        *(each for each in PROGRAM_TYPE_BY_SECTION if not each.endswith("+")),
        *(each + slash + target for each in open_ended),
    ]
    return next(iter(get_close_matches(name, choices, 1)), "")
