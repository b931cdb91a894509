"""Chooses bpfloader's class for a program by its section.

bpfloader.program.sections has the same table, and this core can't import it. A name that ends in `+` may be followed
by `/` and a target; any other must match whole. A test holds the two together.
"""

PROGRAM_CLASSES = {
    "KprobeProgram": "kprobe+ kretprobe+",
    "KprobeMultiProgram": "kprobe.multi+ kretprobe.multi+ kprobe.session+",
    "KsyscallProgram": "ksyscall+ kretsyscall+",
    "UprobeProgram": "uprobe+ uprobe.s+ uretprobe+ uretprobe.s+",
    "UprobeMultiProgram": """uprobe.multi+ uprobe.multi.s+ uretprobe.multi+ uretprobe.multi.s+ uprobe.session+
        uprobe.session.s+""",
    "UsdtProgram": "usdt+ usdt.s+",
    "TracepointProgram": "tracepoint+ tracepoint.s+ tp+ tp.s+",
    "RawTracepointProgram": "raw_tracepoint+ raw_tracepoint.s+ raw_tracepoint.w+ raw_tp+ raw_tp.s+ raw_tp.w+",
    "TracingProgram": """tp_btf+ tp_btf.s+ fentry+ fentry.s+ fexit+ fexit.s+ fmod_ret+ fmod_ret.s+ fsession+ fsession.s+
        lsm+ lsm.s+""",
    "TracingMultiProgram": """fentry.multi+ fentry.multi.s+ fexit.multi+ fexit.multi.s+ fsession.multi+
        fsession.multi.s+""",
    "IterProgram": "iter+ iter.s+",
    "PerfEventProgram": "perf_event",
    "XdpProgram": "xdp xdp.frags xdp/devmap xdp.frags/devmap xdp/cpumap xdp.frags/cpumap",
    "TcProgram": "tc classifier action tc/ingress tc/egress tcx/ingress tcx/egress",
    "NetkitProgram": "netkit/primary netkit/peer",
    "CgroupProgram": """sockops lsm_cgroup+ cgroup_skb/ingress cgroup_skb/egress cgroup/skb cgroup/sock
        cgroup/sock_create cgroup/sock_release cgroup/post_bind4 cgroup/post_bind6 cgroup/bind4 cgroup/bind6
        cgroup/connect4 cgroup/connect6 cgroup/connect_unix cgroup/sendmsg4 cgroup/sendmsg6 cgroup/sendmsg_unix
        cgroup/recvmsg4 cgroup/recvmsg6 cgroup/recvmsg_unix cgroup/getpeername4 cgroup/getpeername6
        cgroup/getpeername_unix cgroup/getsockname4 cgroup/getsockname6 cgroup/getsockname_unix cgroup/sysctl
        cgroup/getsockopt cgroup/setsockopt cgroup/dev""",
    "SockmapProgram": "sk_skb sk_skb/stream_parser sk_skb/stream_verdict sk_skb/verdict sk_msg",
    "NetnsProgram": "sk_lookup flow_dissector",
    "ReuseportProgram": "sk_reuseport sk_reuseport/migrate",
    "SocketFilterProgram": "socket",
    "NetfilterProgram": "netfilter",
    "ExtensionProgram": "freplace+",
    "StructOpsProgram": "struct_ops+ struct_ops.s+",
    "SyscallProgram": "syscall",
}
CLASS_BY_SECTION = {name: kind for kind, names in PROGRAM_CLASSES.items() for name in names.split()}
LINKS = {"IterProgram": "IterLink", "StructOpsMap": "StructOpsLink"}  # what attach gives, where it is more than a Link


def program_class_name(section: str) -> str:
    """Returns the name of the class for a program of a section such as `kprobe/tcp_connect`.

    It is `Program` where the section has none.
    """
    name = section.removeprefix("?")
    return CLASS_BY_SECTION.get(name) or CLASS_BY_SECTION.get(name.partition("/")[0] + "+", "Program")
