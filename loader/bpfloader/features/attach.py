"""Which kinds of programs this kernel and this libbpf attach: each is tried when it is asked for, and remembered.

Prefer it to a table of versions: distributions add kinds to old kernels, and leave others out of new ones.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable
from typing import NamedTuple

from ..diagnose.refusal import ATTACH_REASONS
from ..errors import LibraryError, errno_text
from ..kernel import host
from ..kernel.bpf import PASSING
from ..kernel.privileges import wanted_to_attach
from ..kernel.versions import SECTIONS, SectionKind, program_types, section_kind, version_of
from ..libbpf.library import version
from ..programs.sections import CLASSES, libbpf_needed
from . import (
    trial as attachtry,
)
from . import (
    try_freplace as attachext,
)
from . import (
    try_iter as attachiter,
)
from . import (
    try_network as attachnet,
)
from . import (
    try_tracing as attachtrace,
)
from .trial import CantTell, Kind, Lacking

# enum bpf_attach_type (linux/bpf.h) by section, as section_defs of libbpf.c has it; 0 for those not here.
ATTACH_TYPES = """kprobe.multi 42 kretprobe.multi 42 kprobe.session 56 uprobe.multi 48 uretprobe.multi 48
uprobe.multi.s 48 uretprobe.multi.s 48 uprobe.session 57 uprobe.session.s 57 tp_btf 23 fentry 24 fexit 25 fmod_ret 26
fentry.s 24 fexit.s 25 fmod_ret.s 26 lsm 27 lsm.s 27 lsm_cgroup 43 iter 28 iter.s 28 xdp 37 xdp.frags 37 xdp/devmap 33
xdp.frags/devmap 33 xdp/cpumap 35 xdp.frags/cpumap 35 tc/ingress 46 tc/egress 47 tcx/ingress 46 tcx/egress 47
netkit/primary 54 netkit/peer 55 sk_skb 5 sk_skb/stream_parser 4 sk_skb/stream_verdict 5 sk_skb/verdict 38 sk_msg 7
sk_lookup 36 flow_dissector 17 sk_reuseport 39 sk_reuseport/migrate 40 netfilter 45 sockops 3 cgroup/skb 1
cgroup_skb/ingress 0 cgroup_skb/egress 1 cgroup/sock 2 cgroup/sock_create 2 cgroup/sock_release 34 cgroup/post_bind4 12
cgroup/post_bind6 13 cgroup/bind4 8 cgroup/bind6 9 cgroup/connect4 10 cgroup/connect6 11 cgroup/connect_unix 49
cgroup/sendmsg4 14 cgroup/sendmsg6 15 cgroup/sendmsg_unix 50 cgroup/recvmsg4 19 cgroup/recvmsg6 20
cgroup/recvmsg_unix 51 cgroup/getpeername4 29 cgroup/getpeername6 30 cgroup/getpeername_unix 52
cgroup/getsockname4 31 cgroup/getsockname6 32 cgroup/getsockname_unix 53 cgroup/sysctl 18 cgroup/getsockopt 21
cgroup/setsockopt 22 cgroup/dev 6""".split()
ATTACHED_AS = dict(zip(ATTACH_TYPES[::2], map(int, ATTACH_TYPES[1::2])))
ITERATORS = "iter", "iter.s"
# How each is tried, by the section, else by its first word without `.s`.
TRIES: dict[str, Callable[[Kind], None]] = {
    "kprobe": attachtrace.kprobe, "kretprobe": attachtrace.kprobe, "kprobe.multi": attachtrace.kprobe_multi,
    "kretprobe.multi": attachtrace.kprobe_multi, "kprobe.session": attachtrace.kprobe_multi,
    "ksyscall": attachtrace.ksyscall, "kretsyscall": attachtrace.ksyscall, "uprobe": attachtrace.uprobe,
    "uretprobe": attachtrace.uprobe, "usdt": attachtrace.uprobe, "uprobe.multi": attachtrace.uprobe_multi,
    "uretprobe.multi": attachtrace.uprobe_multi, "uprobe.session": attachtrace.uprobe_multi,
    "tracepoint": attachtrace.tracepoint, "tp": attachtrace.tracepoint, "raw_tracepoint": attachtrace.raw_tracepoint,
    "raw_tp": attachtrace.raw_tracepoint, "raw_tp.w": attachtrace.raw_tracepoint,
    "raw_tracepoint.w": attachtrace.raw_tracepoint, "tp_btf": attachtrace.tp_btf, "fentry": attachtrace.fentry,
    "fexit": attachtrace.fentry, "fmod_ret": attachtrace.fmod_ret, "fentry.s": attachtrace.sleeping,
    "fexit.s": attachtrace.sleeping,
    "fmod_ret.s": attachtrace.sleeping, "lsm": attachtrace.lsm, "iter": attachiter.iterator,
    "perf_event": attachtrace.perf_event, "syscall": attachtrace.syscall, "freplace": attachext.freplace,
    "struct_ops": attachtrace.struct_ops, "lsm_cgroup": attachnet.lsm_cgroup, "xdp": attachnet.interface,
    "xdp.frags": attachnet.interface, "xdp/devmap": attachtry.load_only, "xdp.frags/devmap": attachtry.load_only,
    "xdp/cpumap": attachtry.load_only, "xdp.frags/cpumap": attachtry.load_only, "tc": attachnet.tc,
    "classifier": attachnet.tc, "action": attachtry.load_only, "tc/ingress": attachnet.interface,
    "tc/egress": attachnet.interface, "tcx": attachnet.interface, "netkit": attachnet.netkit,
    "cgroup": attachnet.cgroup, "cgroup_skb": attachnet.cgroup, "sockops": attachnet.cgroup,
    "sk_skb": attachnet.sockmap, "sk_msg": attachnet.sockmap, "sk_lookup": attachnet.namespace,
    "flow_dissector": attachnet.namespace, "sk_reuseport": attachnet.reuseport, "socket": attachnet.socket_filter,
    "netfilter": attachnet.netfilter,
}  # fmt: skip
# What their programs return, so that they would change nothing even if they ran: TC_ACT_UNSPEC, XDP_PASS, SK_PASS,
# NF_ACCEPT, and 1 for what a cgroup allows; 0 for all others.
VALUES = {"tc": -1, "classifier": -1, "action": -1, "tcx": -1, "netkit": -1, "xdp": 2, "xdp.frags": 2, "sk_skb": 1,
          "sk_msg": 1, "sk_lookup": 1, "sk_reuseport": 1, "netfilter": 1, "cgroup": 1, "cgroup_skb": 1, "sockops": 1,
          "lsm_cgroup": 1}  # fmt: skip


class Support(NamedTuple):
    """What this kernel said of one thing: true where it has it.

    `ok` is None where it can't be told, and `reason` says why, as it does where it is False; `since` is the first
    Linux that has it, `number` its number in linux/bpf.h (an expected attach type for a way to attach).
    """

    name: str
    ok: bool | None
    reason: str
    since: str
    number: int

    def __bool__(self) -> bool:
        return self.ok is True


def attach_kinds() -> tuple[str, ...]:
    """The kinds that can be asked for, as libbpf spells their sections, in the order of its table."""
    names = (row.split()[0] for row in re.split(r";\s|\n", SECTIONS))
    return tuple(name for name in names if name in CLASSES or name + "+" in CLASSES)


def supports(section: str) -> bool:
    """Whether this kernel and this libbpf attach programs of a section such as `fentry` or `cgroup/connect4`.

    False too where it can't be told: `attach_kind` says why. An answer is remembered. Raises ValueError for a section
    that libbpf knows not.
    """
    return bool(attach_kind(section))


def attach_kind(section: str) -> Support:
    """Whether a program of a section such as `fentry` or `cgroup/connect4` loads and attaches here; remembered.

    A target after the kind (`fentry/tcp_connect`) doesn't count: it says nothing of whether that function is there.
    But what an iterator goes over is a kind of its own (`iter/bpf_map_elem`); `iter` alone asks for that over tasks.
    That it can't be told (`ok` is None) isn't remembered: it is tried anew when it is asked again.
    Takes a millisecond or less; up to 30 where something that was attached has to be ended, or the kernel's BTF is
    read for it. Raises ValueError for a section that libbpf knows not.
    """
    kind = section_kind(section)
    if kind is None or kind.section not in attach_kinds():
        from ..suggest import near

        close = near(section.split("/")[0], attach_kinds())
        raise ValueError(f"no way to attach is called {section!r}" + (f"; {close}" if close else ""))
    target = section.partition("/")[2] if kind.section in ITERATORS else ""
    asked = kind, target, os.geteuid()
    if asked not in _answers:
        said = _attach_kind(kind, target)
        if said.ok is None:
            return said
        _answers[asked] = said
    return _answers[asked]


_answers: dict[tuple[SectionKind, str, int], Support] = {}  # by user too: one who drops privileges asks anew


def _attach_kind(kind: SectionKind, target: str) -> Support:
    ok, reason = _tried(kind, target)
    needed = libbpf_needed(kind.section)
    try:
        if ok is not False and version_of(version()) < version_of(needed):
            lacks = f'libbpf {version()} has no SEC("{kind.section}")' + ", the kernel has it" * (ok is True)
            ok, reason = False, f"{lacks}; install libbpf {needed} or newer"
    except LibraryError as error:
        ok, reason = False, str(error).splitlines()[0]
    name = f"{kind.section}/{target}" if target else kind.section
    return Support(name, ok, reason, kind.kernel, ATTACHED_AS.get(kind.section, 0))


def _tried(kind: SectionKind, target: str) -> tuple[bool | None, str]:
    """(whether the kernel attaches it, why not or why it can't be told)."""
    head = kind.section.split("/")[0]
    run = TRIES.get(kind.section) or TRIES.get(head) or TRIES[head.removesuffix(".s")]
    try:
        run(told(kind, target))
    except OSError as error:
        number = error.errno or errno.EINVAL
        return refused(number, wanted_to_attach(kind.section, number) or (), kind.kernel, kind.section)
    except CantTell as error:
        return None, str(error)
    except Lacking as error:
        return False, str(error)
    except LibraryError as error:
        return None, str(error).splitlines()[0]
    return True, ""


def told(kind: SectionKind, target: str = "") -> Kind:
    """What a try of a section's kind is told."""
    number = next(feature.number for feature in program_types() if feature.name == kind.type)
    value = VALUES.get(kind.section.split("/")[0], 0)
    return Kind(kind.section, number, ATTACHED_AS.get(kind.section, 0), value, target)


def refused(number: int, wanted: tuple[str, ...], since: str, section: str = "") -> tuple[bool | None, str]:
    """(False, or None where it is this process that isn't allowed to ask; the reason) of a kernel's errno.

    `wanted` is the capabilities that it takes, `since` the first Linux that has what was asked for. None too for an
    errno that tells of the moment, such as ENOMEM.
    """
    if number in PASSING:
        return None, f"the kernel could not answer now ({errno_text(number)}); ask again"
    if number in (errno.EPERM, errno.EACCES):
        missing = host.missing_capabilities(wanted)
        if missing:
            return None, f"user {os.geteuid()} lacks {', '.join(missing)} to ask this kernel"
        if host.denied_because():
            return None, host.denied_because()
    why = ATTACH_REASONS[number][0] if section and number in ATTACH_REASONS else ""
    options = host.missing_options(section)
    if options:
        why = f"this kernel was built without {', '.join(options)}"
    elif host.kernel_is_before(since):
        why = f"it came with Linux {since}, this is {host.kernel_release()}"
    return False, f"{why} ({errno_text(number)})" if why else errno_text(number)
