"""Chooses a program's class by its section, after `section_defs` of libbpf (src/libbpf.c).

A name that ends in `+` may be followed by `/` and a target; any other must match whole. The classes are named here and
imported when they are asked for: a skeleton uses few of them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from .base import Program

SECTIONS_BY_CLASS = {
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
# The module of this package that defines each class.
MODULE_BY_CLASS = {name: module for module, names in {
    "base": "Program",
    "kprobe": """KprobeProgram KprobeMultiProgram KsyscallProgram TracepointProgram RawTracepointProgram TracingProgram
        TracingMultiProgram ExtensionProgram""",
    "uprobe": "UprobeProgram UprobeMultiProgram UsdtProgram",
    "network": """XdpProgram CgroupProgram SockmapProgram NetnsProgram ReuseportProgram SocketFilterProgram
        NetfilterProgram""",
    "tc": "TcProgram NetkitProgram",
    "perf_event": "PerfEventProgram",
    "iter": "IterProgram",
    "struct_ops": "StructOpsProgram",
    "syscall": "SyscallProgram",
}.items() for name in names.split()}  # fmt: skip
CLASS_BY_SECTION = {name: kind for kind, names in SECTIONS_BY_CLASS.items() for name in names.split()}

# The sections younger than libbpf 1.0, by the first version that has them (section_defs of its tags).
SECTIONS_BY_LIBBPF = {
    "1.2": "struct_ops.s+",
    "1.3": """netfilter netkit/primary netkit/peer tc/ingress tc/egress tcx/ingress tcx/egress uprobe.multi+
        uprobe.multi.s+ uretprobe.multi+ uretprobe.multi.s+ usdt.s+ cgroup/connect_unix cgroup/sendmsg_unix
        cgroup/recvmsg_unix cgroup/getpeername_unix cgroup/getsockname_unix""",
    "1.4": "sk_skb/verdict",
    "1.5": "kprobe.session+",
    "1.6": "uprobe.session+ uprobe.session.s+",
    "1.7": "fsession+ fsession.s+",
    "1.8": """fentry.multi+ fentry.multi.s+ fexit.multi+ fexit.multi.s+ fsession.multi+ fsession.multi.s+""",
}
LIBBPF_BY_SECTION = {name: since for since, names in SECTIONS_BY_LIBBPF.items() for name in names.split()}


def program_class(section: str) -> type[Program]:
    """Returns the class for a section such as `kprobe/tcp_connect`; Program where there is none of its own.

    A leading `?` (not loaded unless asked for) doesn't count.
    """
    name = section.removeprefix("?")
    kind = CLASS_BY_SECTION.get(name) or CLASS_BY_SECTION.get(name.partition("/")[0] + "+", "Program")
    module = import_module(f".{MODULE_BY_CLASS[kind]}", __package__)
    return cast("type[Program]", getattr(module, kind))


def libbpf_needed(section: str) -> str:
    """Returns the first libbpf that knows a section's kind, such as `1.3`; `1.0` for those that all have."""
    name = section.removeprefix("?")
    return LIBBPF_BY_SECTION.get(name) or LIBBPF_BY_SECTION.get(name.partition("/")[0] + "+", "1.0")
