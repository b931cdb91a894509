"""Tries the kinds of programs that this kernel and this libbpf attach, when asked, and remembers the answers.

Prefer it to a table of versions: distributions add kinds to old kernels, and leave others out of new ones.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import NamedTuple

from ..diagnose.refusal import ATTACH_REASONS
from ..errors import LibraryError, errno_text
from ..kernel import host
from ..kernel.attach_type import AttachType
from ..kernel.bpf import TRANSIENT
from ..kernel.privileges import attach_capabilities
from ..kernel.versions import SectionKind, program_types, section_kind, section_kinds, version_of
from ..libbpf.library import version
from ..program.sections import CLASS_BY_SECTION, libbpf_needed
from ..suggest import suggestion
from . import trial, try_freplace, try_iter, try_network, try_tracing
from .trial import CantTell, NotSupported, Trial

# The expected attach type of sections, as section_defs of libbpf.c has it; 0 for those not here.
ATTACH_TYPES = {
    AttachType.TRACE_KPROBE_MULTI: "kprobe.multi kretprobe.multi",
    AttachType.TRACE_KPROBE_SESSION: "kprobe.session",
    AttachType.TRACE_UPROBE_MULTI: "uprobe.multi uretprobe.multi uprobe.multi.s uretprobe.multi.s",
    AttachType.TRACE_UPROBE_SESSION: "uprobe.session uprobe.session.s",
    AttachType.TRACE_RAW_TP: "tp_btf",
    AttachType.TRACE_FENTRY: "fentry fentry.s",
    AttachType.TRACE_FEXIT: "fexit fexit.s",
    AttachType.TRACE_FSESSION: "fsession fsession.s",
    AttachType.TRACE_FENTRY_MULTI: "fentry.multi fentry.multi.s",
    AttachType.TRACE_FEXIT_MULTI: "fexit.multi fexit.multi.s",
    AttachType.TRACE_FSESSION_MULTI: "fsession.multi fsession.multi.s",
    AttachType.MODIFY_RETURN: "fmod_ret fmod_ret.s",
    AttachType.LSM_MAC: "lsm lsm.s",
    AttachType.LSM_CGROUP: "lsm_cgroup",
    AttachType.TRACE_ITER: "iter iter.s",
    AttachType.XDP: "xdp xdp.frags",
    AttachType.XDP_DEVMAP: "xdp/devmap xdp.frags/devmap",
    AttachType.XDP_CPUMAP: "xdp/cpumap xdp.frags/cpumap",
    AttachType.TCX_INGRESS: "tc/ingress tcx/ingress",
    AttachType.TCX_EGRESS: "tc/egress tcx/egress",
    AttachType.NETKIT_PRIMARY: "netkit/primary",
    AttachType.NETKIT_PEER: "netkit/peer",
    AttachType.SK_SKB_STREAM_VERDICT: "sk_skb sk_skb/stream_verdict",
    AttachType.SK_SKB_STREAM_PARSER: "sk_skb/stream_parser",
    AttachType.SK_SKB_VERDICT: "sk_skb/verdict",
    AttachType.SK_MSG_VERDICT: "sk_msg",
    AttachType.SK_LOOKUP: "sk_lookup",
    AttachType.FLOW_DISSECTOR: "flow_dissector",
    AttachType.SK_REUSEPORT_SELECT: "sk_reuseport",
    AttachType.SK_REUSEPORT_SELECT_OR_MIGRATE: "sk_reuseport/migrate",
    AttachType.NETFILTER: "netfilter",
    AttachType.CGROUP_SOCK_OPS: "sockops",
    AttachType.CGROUP_INET_EGRESS: "cgroup/skb cgroup_skb/egress",
    AttachType.CGROUP_INET_INGRESS: "cgroup_skb/ingress",
    AttachType.CGROUP_INET_SOCK_CREATE: "cgroup/sock cgroup/sock_create",
    AttachType.CGROUP_INET_SOCK_RELEASE: "cgroup/sock_release",
    AttachType.CGROUP_INET4_POST_BIND: "cgroup/post_bind4",
    AttachType.CGROUP_INET6_POST_BIND: "cgroup/post_bind6",
    AttachType.CGROUP_INET4_BIND: "cgroup/bind4",
    AttachType.CGROUP_INET6_BIND: "cgroup/bind6",
    AttachType.CGROUP_INET4_CONNECT: "cgroup/connect4",
    AttachType.CGROUP_INET6_CONNECT: "cgroup/connect6",
    AttachType.CGROUP_UNIX_CONNECT: "cgroup/connect_unix",
    AttachType.CGROUP_UDP4_SENDMSG: "cgroup/sendmsg4",
    AttachType.CGROUP_UDP6_SENDMSG: "cgroup/sendmsg6",
    AttachType.CGROUP_UNIX_SENDMSG: "cgroup/sendmsg_unix",
    AttachType.CGROUP_UDP4_RECVMSG: "cgroup/recvmsg4",
    AttachType.CGROUP_UDP6_RECVMSG: "cgroup/recvmsg6",
    AttachType.CGROUP_UNIX_RECVMSG: "cgroup/recvmsg_unix",
    AttachType.CGROUP_INET4_GETPEERNAME: "cgroup/getpeername4",
    AttachType.CGROUP_INET6_GETPEERNAME: "cgroup/getpeername6",
    AttachType.CGROUP_UNIX_GETPEERNAME: "cgroup/getpeername_unix",
    AttachType.CGROUP_INET4_GETSOCKNAME: "cgroup/getsockname4",
    AttachType.CGROUP_INET6_GETSOCKNAME: "cgroup/getsockname6",
    AttachType.CGROUP_UNIX_GETSOCKNAME: "cgroup/getsockname_unix",
    AttachType.CGROUP_SYSCTL: "cgroup/sysctl",
    AttachType.CGROUP_GETSOCKOPT: "cgroup/getsockopt",
    AttachType.CGROUP_SETSOCKOPT: "cgroup/setsockopt",
    AttachType.CGROUP_DEVICE: "cgroup/dev",
}
ATTACH_TYPE_OF = {section: int(number) for number, sections in ATTACH_TYPES.items() for section in sections.split()}
ITERATORS = "iter", "iter.s"
# The function that tries a kind, by its section, else by the section's first word without `.s`.
TRIAL_FUNCTIONS: dict[str, Callable[[Trial], None]] = {
    "kprobe": try_tracing.kprobe, "kretprobe": try_tracing.kprobe, "kprobe.multi": try_tracing.kprobe_multi,
    "kretprobe.multi": try_tracing.kprobe_multi, "kprobe.session": try_tracing.kprobe_multi,
    "ksyscall": try_tracing.ksyscall, "kretsyscall": try_tracing.ksyscall, "uprobe": try_tracing.uprobe,
    "uretprobe": try_tracing.uprobe, "usdt": try_tracing.uprobe, "uprobe.multi": try_tracing.uprobe_multi,
    "uretprobe.multi": try_tracing.uprobe_multi, "uprobe.session": try_tracing.uprobe_multi,
    "tracepoint": try_tracing.tracepoint, "tp": try_tracing.tracepoint, "raw_tracepoint": try_tracing.raw_tracepoint,
    "raw_tp": try_tracing.raw_tracepoint, "raw_tp.w": try_tracing.raw_tracepoint,
    "raw_tracepoint.w": try_tracing.raw_tracepoint, "tp_btf": try_tracing.tp_btf, "fentry": try_tracing.fentry,
    "fexit": try_tracing.fentry, "fsession": try_tracing.fentry, "fmod_ret": try_tracing.fmod_ret,
    "fentry.s": try_tracing.sleepable, "fexit.s": try_tracing.sleepable, "fsession.s": try_tracing.sleepable,
    "fmod_ret.s": try_tracing.sleepable, "fentry.multi": try_tracing.tracing_multi,
    "fexit.multi": try_tracing.tracing_multi, "fsession.multi": try_tracing.tracing_multi, "lsm": try_tracing.lsm,
    "iter": try_iter.iterator, "perf_event": try_tracing.perf_event, "syscall": try_tracing.syscall,
    "freplace": try_freplace.freplace, "struct_ops": try_tracing.struct_ops, "lsm_cgroup": try_network.lsm_cgroup,
    "xdp": try_network.interface, "xdp.frags": try_network.interface, "xdp/devmap": trial.load_only,
    "xdp.frags/devmap": trial.load_only, "xdp/cpumap": trial.load_only, "xdp.frags/cpumap": trial.load_only,
    "tc": try_network.tc, "classifier": try_network.tc, "action": trial.load_only, "tc/ingress": try_network.interface,
    "tc/egress": try_network.interface, "tcx": try_network.interface, "netkit": try_network.netkit,
    "cgroup": try_network.cgroup, "cgroup_skb": try_network.cgroup, "sockops": try_network.cgroup,
    "sk_skb": try_network.sockmap, "sk_msg": try_network.sockmap, "sk_lookup": try_network.namespace,
    "flow_dissector": try_network.namespace, "sk_reuseport": try_network.reuseport,
    "socket": try_network.socket_filter, "netfilter": try_network.netfilter,
}  # fmt: skip
# The return values of tried programs, which would change nothing even if they ran; 0 for all others.
TC_ACT_UNSPEC, XDP_PASS, SK_PASS, NF_ACCEPT = -1, 2, 1, 1  # linux/pkt_cls.h, linux/bpf.h, linux/netfilter.h
ALLOWED = 1  # returned by a cgroup's program
RETURN_VALUES = {
    **dict.fromkeys(("tc", "classifier", "action", "tcx", "netkit"), TC_ACT_UNSPEC),
    **dict.fromkeys(("xdp", "xdp.frags"), XDP_PASS),
    **dict.fromkeys(("sk_skb", "sk_msg", "sk_lookup", "sk_reuseport"), SK_PASS),
    "netfilter": NF_ACCEPT,
    **dict.fromkeys(("cgroup", "cgroup_skb", "sockops", "lsm_cgroup"), ALLOWED),
}


class Support(NamedTuple):
    """This kernel's answer about one feature: true in a condition if it has it.

    `ok` is None where that can't be told; `reason` says why, as it does where `ok` is False. `since` is the first Linux
    that has the feature, `number` its number in linux/bpf.h (an expected attach type for a way to attach).
    """

    name: str
    ok: bool | None
    reason: str
    since: str
    number: int

    def __bool__(self) -> bool:
        return self.ok is True


class Answer(NamedTuple):
    """This kernel's answer to a try: `ok` is None where it can't be told; `reason` says why, as where `ok` is False."""

    ok: bool | None
    reason: str


def attach_kinds() -> tuple[str, ...]:
    """Returns the kinds that `attach_kind` knows, as libbpf spells their sections, in the order of its table."""
    names = (kind.section for kind in section_kinds())
    return tuple(name for name in names if name in CLASS_BY_SECTION or name + "+" in CLASS_BY_SECTION)


def supports(section: str) -> bool:
    """Returns True if this kernel and this libbpf attach programs of a section such as `fentry` or `cgroup/connect4`.

    False too where it can't be told: `attach_kind` says why. Remembers the answer. Raises ValueError for a section that
    libbpf doesn't know.
    """
    return bool(attach_kind(section))


def attach_kind(section: str) -> Support:
    """Tries if a program of a section such as `fentry` or `cgroup/connect4` loads and attaches here.

    A target after the kind (`fentry/tcp_connect`) doesn't count: the answer is about the kind, not about that function.
    Iterators are the exception: what one iterates over is a kind of its own (`iter/bpf_map_elem`); `iter` alone is
    tried over tasks. Remembers the answer, unless it can't be told (`ok` is None): the next call tries anew. Takes a
    millisecond or less; up to 30 where ending what was attached takes long, or the kernel's BTF is read. Raises
    ValueError for a section that libbpf doesn't know.
    """
    kind = section_kind(section)
    if kind is None or kind.section not in attach_kinds():
        close = suggestion(section.split("/")[0], attach_kinds())
        raise ValueError(f"no way to attach is called {section!r}" + (f"; {close}" if close else ""))
    target = section.partition("/")[2] if kind.section in ITERATORS else ""
    key = kind, target, os.geteuid()
    if key not in _answers:
        support = _attach_kind(kind, target)
        if support.ok is None:
            return support
        _answers[key] = support
    return _answers[key]


_answers: dict[tuple[SectionKind, str, int], Support] = {}  # by user too: one who drops privileges asks anew


def _attach_kind(kind: SectionKind, target: str) -> Support:
    ok, reason = _try(kind, target)
    needed = libbpf_needed(kind.section)
    try:
        if ok is not False and version_of(version()) < version_of(needed):
            lacks = f'libbpf {version()} has no SEC("{kind.section}")'
            lacks += ", the kernel has it" if ok else ""
            ok, reason = False, f"{lacks}; install libbpf {needed} or newer"
    except LibraryError as error:
        ok, reason = False, str(error).splitlines()[0]
    name = f"{kind.section}/{target}" if target else kind.section
    return Support(name, ok, reason, kind.kernel, ATTACH_TYPE_OF.get(kind.section, 0))


def _try(kind: SectionKind, target: str) -> Answer:
    """Tries if the kernel attaches it."""
    head = kind.section.split("/")[0]
    run = TRIAL_FUNCTIONS.get(kind.section) or TRIAL_FUNCTIONS.get(head) or TRIAL_FUNCTIONS[head.removesuffix(".s")]
    try:
        run(trial_of(kind, target))
    except OSError as error:
        number = error.errno or errno.EINVAL
        return answer_for_errno(number, attach_capabilities(kind.section, number) or (), kind.kernel, kind.section)
    except CantTell as error:
        return Answer(None, str(error))
    except NotSupported as error:
        return Answer(False, str(error))
    except LibraryError as error:
        return Answer(None, str(error).splitlines()[0])
    return Answer(True, "")


def trial_of(kind: SectionKind, target: str = "") -> Trial:
    """Returns the trial of a section's kind."""
    number = next(feature.number for feature in program_types() if feature.name == kind.type)
    value = RETURN_VALUES.get(kind.section.split("/")[0], 0)
    return Trial(kind.section, number, ATTACH_TYPE_OF.get(kind.section, 0), value, target)


def answer_for_errno(number: int, wanted: tuple[str, ...], since: str, section: str = "") -> Answer:
    """Returns the answer that an errno gives: no, or None where this process may not ask.

    `wanted` are the capabilities that the feature takes, `since` is the first Linux that has it. None too for an errno
    of the moment, such as ENOMEM.
    """
    if number in TRANSIENT:
        return Answer(None, f"the kernel could not answer now ({errno_text(number)}); ask again")
    if number in (errno.EPERM, errno.EACCES):
        missing = host.missing_capabilities(wanted)
        if missing:
            return Answer(None, f"user {os.geteuid()} lacks {', '.join(missing)} to ask this kernel")
        if host.denial_fix():
            return Answer(None, host.denial_fix())
    why = ATTACH_REASONS[number].what if section and number in ATTACH_REASONS else ""
    options = host.missing_options(section)
    if options:
        why = f"this kernel was built without {', '.join(options)}"
    elif host.kernel_is_before(since):
        why = f"it came with Linux {since}, this is {host.kernel_release()}"
    return Answer(False, f"{why} ({errno_text(number)})" if why else errno_text(number))
