"""Tells a kernel that can't from a program that is wrong: the one skips a test, the other fails it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NoReturn

import pytest  # type: ignore[import-not-found,unused-ignore]  # where a tool is checked without it

from ..errors import (
    ENOTSUPP,
    BpfError,
    CallError,
    LibraryError,
    MissingBtfError,
    PrivilegeError,
    RefusedError,
    VariantsError,
    VerifierError,
)
from ..features.attach import attach_kind
from ..kernel.host import kernel_is_before, kernel_release

# The first Linux that runs a kind without an event, by the words before `/` in its section, without `.s`: from the
# history of the kernel's test_run functions (net/bpf/test_run.c, kernel/bpf/bpf_struct_ops.c).
TEST_RUN_VERSIONS = {
    "socket": "4.12", "tc": "4.12", "classifier": "4.12", "action": "4.12", "tcx": "4.12", "netkit": "4.12",
    "xdp": "4.12", "xdp.frags": "4.12", "cgroup_skb": "4.12", "cgroup": "4.12", "lwt_in": "4.12", "lwt_out": "4.12",
    "lwt_xmit": "4.12", "lwt_seg6local": "4.18", "flow_dissector": "5.1", "fentry": "5.7", "fexit": "5.7",
    "fmod_ret": "5.7", "raw_tp": "5.10", "raw_tracepoint": "5.10", "sk_lookup": "5.13", "syscall": "5.14",
    "netfilter": "6.4",
}  # fmt: skip


def reason_of(error: BpfError, sections: Iterable[str] = ()) -> str:
    """Returns why this kernel, libbpf or process can't do what was refused; empty if the program itself is at fault.

    `sections` are those of the programs in question: each one's kind is tried. Of an error of variants, each must be
    something else than the verifier's word about a program.
    """
    if isinstance(error, (LibraryError, PrivilegeError, MissingBtfError)):
        return str(error).splitlines()[0]
    if isinstance(error, VariantsError):
        faults = any(isinstance(each, VerifierError) for each in error.refused.values())
        return "" if faults else "; ".join(f"{name}: {each.what}" for name, each in error.refused.items())
    if not isinstance(error, RefusedError):
        return ""
    for section in sections:
        support = _support(section)
        if support:
            return support
    return error.fix if " came with " in error.fix else ""  # as diagnose/older_kernel.py words it


def _support(section: str) -> str:
    """Returns why this kernel has no programs of a section, empty if it has."""
    try:
        support = attach_kind(section.removeprefix("?"))
    except ValueError:  # a section that libbpf doesn't know: the program's fault
        return ""
    return f"{support.name}: {support.reason}" if support.ok is False else ""


def run_reason_of(error: CallError, section: str) -> str:
    """Returns why this kernel runs no program of a section without an event; empty if another kernel wouldn't, too."""
    since = TEST_RUN_VERSIONS.get(section.removeprefix("?").split("/")[0].removesuffix(".s"), "")
    if not since or not (error.errno == ENOTSUPP or kernel_is_before(since)):
        return ""
    return f"{error.what}; that came with Linux {since}, this is {kernel_release()}"


def skip(reason: str) -> NoReturn:
    """Skips the test that runs, with its reason."""
    raise pytest.skip.Exception(reason)
