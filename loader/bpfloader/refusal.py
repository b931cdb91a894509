"""Tells from errno, libbpf's log and this process's capabilities why the kernel refused, and what to do next."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterable, Mapping

from .errors import (
    ANOTHER,
    ENOTSUPP,
    AttachError,
    BpfError,
    CallError,
    LoadError,
    MissingBtfError,
    PrivilegeError,
    VerifierError,
    errno_text,
)  # fmt: skip

KERNEL_BTF = "/sys/kernel/btf/vmlinux"
CAPABILITIES = {"CAP_BPF": 39, "CAP_PERFMON": 38, "CAP_NET_ADMIN": 12}  # linux/capability.h
CAP_SYS_ADMIN = 21
# What libbpf says before and around the verifier's log (bpf_object_load_prog in libbpf.c; the same from 1.0 to 1.8).
VERIFIER_LOG = re.compile(
    r"prog '(?P<program>[^']*)': -- BEGIN PROG LOAD LOG --\n(?P<log>.*?)-- END PROG LOAD LOG --", re.DOTALL
)
NO_BTF = re.compile(r"Error loading vmlinux BTF|failed to find valid kernel BTF|vmlinux BTF is not found")
FAILED_PROGRAM = re.compile(r"prog '(?P<program>[^']*)': (?:BPF program load failed|failed to load)")

TRACING = ("/sys/kernel/tracing/events", "/sys/kernel/debug/tracing/events")  # where libbpf looks for tracefs
NO_TRACEFS = "tracefs, where libbpf finds tracepoints, is not mounted", "mount -t tracefs tracefs /sys/kernel/tracing"
READ_ON = "see libbpf's messages"
LOAD_REASONS = {
    errno.EPERM: ("this kernel doesn't permit that kind of program", ANOTHER),
    errno.ENOENT: ("this kernel has no such hook", ANOTHER),
    errno.ESRCH: ("this kernel has no such function or tracepoint", ANOTHER),
    ENOTSUPP: ("this kernel can't do that on this machine", ANOTHER),
}
HOW_TO_ATTACH = "use attach_cgroup(path), attach_xdp(interface) … or another variant"
ATTACH_REASONS = {
    errno.EPERM: ("this kernel doesn't permit that way to attach", ANOTHER),
    errno.ENOENT: ("this kernel has no such function, tracepoint or hook", ANOTHER),
    errno.ESRCH: ("this kernel has no such function", ANOTHER),
    errno.EOPNOTSUPP: ("its section says not where to", HOW_TO_ATTACH),
    ENOTSUPP: ("this kernel can't do that on this machine", ANOTHER),
    errno.EBUSY: ("another program is attached there", "detach it first"),
    errno.EINVAL: ("this kernel doesn't know that way to attach, or the target is no such thing", ANOTHER),
}


def missing_capabilities() -> tuple[str, ...]:
    """The names of the capabilities for BPF that this process lacks; none if it has CAP_SYS_ADMIN (capabilities(7))."""
    with open("/proc/self/status", "rb") as file:
        held = next((int(line.split()[1], 16) for line in file if line.startswith(b"CapEff:")), 0)
    if held >> CAP_SYS_ADMIN & 1:
        return ()
    return tuple(name for name, bit in CAPABILITIES.items() if not held >> bit & 1)


def privilege_error(verb: str, number: int) -> PrivilegeError | None:
    """The error for a verb that the kernel denied for want of a capability; None if it wasn't that.

    Without CAP_NET_ADMIN alone only network hooks are denied, so that is a refusal: another variant may do.
    """
    missing = missing_capabilities() if number in (errno.EPERM, errno.EACCES) else ()
    if not {"CAP_BPF", "CAP_PERFMON"} & {*missing}:
        return None
    who = f"user {os.geteuid()} lacks {', '.join(missing)}"
    fix = "give the process those capabilities" + " (CAP_NET_ADMIN for network hooks only)" * (
        "CAP_NET_ADMIN" in missing
    )
    fix = "run it as root, or " + fix if os.geteuid() else fix + ", or run it outside its container"
    return PrivilegeError(f"can't {verb}: {who} ({errno_text(number)})", fix=fix, errno=number)


def _explained(number: int, reasons: Mapping[int, tuple[str, str]], fix: str) -> tuple[str, str]:
    """(the errno with its reason, the next step), with the capability that a denied network hook may lack."""
    reason, fix = reasons.get(number, ("", fix))
    if number == errno.EPERM and missing_capabilities():
        fix = f"give the process {', '.join(missing_capabilities())} if it is a network hook, or {ANOTHER}"
    return f"({errno_text(number)}){reason and ': '}{reason}", fix


def load_refused(name: str, error: CallError, messages: Iterable[str]) -> BpfError:
    """The error for an object that doesn't load: whose fault it is, with the verifier's log or libbpf's last lines."""
    said = "".join(messages)
    refused = VERIFIER_LOG.search(said)
    denied = privilege_error(f"load {name}", error.errno)
    if denied and not (refused and refused["log"].strip()):
        return denied
    if NO_BTF.search(said) and not os.path.exists(KERNEL_BTF):
        fix = "boot a kernel with CONFIG_DEBUG_INFO_BTF=y, or give its BTF: open(btf=path)"
        return MissingBtfError(f"can't load {name}: this kernel has no {KERNEL_BTF}", fix=fix, errno=error.errno)
    if refused:
        log = tuple(refused["log"].splitlines())
        what = f"can't load {name}: the verifier refuses the program {refused['program']} ({errno_text(error.errno)})"
        fix = "read the end of its log (all of it is in this error's `log`)"
        return VerifierError(what, program=refused["program"], log=log, fix=fix, errno=error.errno)
    failed = FAILED_PROGRAM.search(said)
    refuses = f"the kernel refuses the program {failed['program']}" if failed else "the kernel refuses the object"
    fix = f"{READ_ON}; a program that this kernel can't take is left out by its autoload = False"
    why, fix = _explained(error.errno, LOAD_REASONS if failed else {}, fix)
    return LoadError(f"can't load {name}: {refuses} {why}", fix=fix, details=lines(said), errno=error.errno)


def attach_refused(program: str, error: CallError, messages: Iterable[str]) -> BpfError:
    """The error for a program that doesn't attach."""
    said = lines("".join(messages))
    reasons = ATTACH_REASONS
    if "tracepoint" in "".join(said) and not any(map(os.path.isdir, TRACING)):
        reasons = {**reasons, errno.ENOENT: NO_TRACEFS}
    why, fix = _explained(error.errno, reasons, READ_ON)
    denied = privilege_error(f"attach {program}", error.errno)
    return denied or AttachError(f"can't attach {program} {why}", fix=fix, details=said, errno=error.errno)


def lines(said: str) -> tuple[str, ...]:
    """The last lines of what libbpf said."""
    return tuple(line for line in said.splitlines() if line.strip())[-20:]
