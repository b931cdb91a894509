"""The capabilities that a load, an attach or a run takes, and the error where this process lacks one of them."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..errors import PrivilegeError, errno_text

if TYPE_CHECKING:
    from .versions import Feature

# Sections attached by perf_kprobe_event_init and perf_uprobe_event_init (kernel/events/core.c), which fail with EACCES:
# some kernels ask for CAP_PERFMON, others, as 6.18, for CAP_SYS_ADMIN.
PERF_PROBES = "kprobe", "kretprobe", "ksyscall", "kretsyscall", "uprobe", "uretprobe", "usdt"


def privilege_error(verb: str, number: int, wanted: Iterable[str] | None = None) -> PrivilegeError | None:
    """Returns the error for an operation that the kernel denied for want of a capability; None if it wasn't that.

    `wanted` are the capabilities that it takes, None if unknown: then all that BPF asks for count. If CAP_NET_ADMIN
    alone is missing, only network hooks are denied; that is a refusal, since another variant may do.
    """
    from . import host

    missing = host.missing_capabilities(wanted) if number in (errno.EPERM, errno.EACCES) else ()
    if not {*missing} - {"CAP_NET_ADMIN"}:
        return None
    who = f"user {os.geteuid()} lacks {', '.join(missing)}"
    fix = "give the process those capabilities"
    if "CAP_NET_ADMIN" in missing and wanted is None:
        fix += " (CAP_NET_ADMIN for network hooks only)"
    if host.kernel_is_before("5.8"):
        fix = f"give the process CAP_SYS_ADMIN (CAP_BPF came with Linux 5.8, this is {host.kernel_release()})"
    fix = "run it as root, or " + fix if os.geteuid() else fix + ", or run it outside its container"
    if "CAP_SYS_ADMIN" in missing:
        fix += "; this kernel wants it for such probes, but not for uprobe.multi and kprobe.multi"
    elif os.geteuid() and host.unprivileged_bpf_disabled():
        fix += f"; kernel.unprivileged_bpf_disabled is {host.unprivileged_bpf_disabled()}: nothing loads without them"
    return PrivilegeError(f"can't {verb}: {who} ({errno_text(number)})", fix=fix, errno=number)


def section_capabilities(sections: Iterable[str]) -> tuple[str, ...] | None:
    """Returns the capabilities that programs of these sections take; None where a section's kind isn't known."""
    from . import host
    from .versions import section_kind

    kinds = [section_kind(section) for section in sections]
    return host.program_capabilities(kind.type for kind in kinds if kind) if all(kinds) else None


def attach_capabilities(section: str, number: int) -> tuple[str, ...] | None:
    """Returns the capabilities that attaching a program takes, where the kernel refused with that errno."""
    from . import host

    wanted = section_capabilities([section])
    if wanted is None:
        return None
    head = section.removeprefix("?").split("/")[0].removesuffix(".s")
    if head == "cgroup_skb":  # its load alone may do without
        return (*wanted, "CAP_NET_ADMIN")
    if head in PERF_PROBES and number == errno.EACCES and not host.missing_capabilities(wanted):
        return (*wanted, "CAP_SYS_ADMIN")
    return wanted


def load_capabilities(refused_map: str, handle: int) -> tuple[str, ...] | None:
    """Returns the capabilities that an object takes: of the map that was refused, else of the chosen programs."""
    from ..libbpf.library import library
    from . import host

    if not handle:
        return None
    if refused_map:
        kind = map_kind(library().bpf_object__find_map_by_name(handle, refused_map.encode()))
        return host.map_capabilities(kind.name) if kind else None
    sections, program = [], None
    while program := library().bpf_object__next_program(handle, program):
        if library().bpf_program__autoload(program):
            sections.append(library().bpf_program__section_name(program).decode())
    # libbpf's own trial, which comes before any map, is a socket filter.
    return section_capabilities(sections or ["socket"])


def map_kind(handle: int) -> Feature | None:
    """Returns the type of libbpf's struct bpf_map *; None for one that isn't in the table."""
    from ..libbpf.library import library
    from .versions import map_types

    number = library().bpf_map__type(handle)
    return next((kind for kind in map_types() if kind.number == number), None)
