"""How a probe tries each kind: a tiny program is really loaded and attached, where nothing ever calls it.

Functions that only BPF's own self-tests call, a tracepoint that next to never fires, a socket, a map and a network
namespace of its own: what is attached there can't touch anything else. Where there is no such place, or ending it takes
long, the target is none (no such file, no cgroup), and it counts that the kernel finds nothing else to refuse.
Each try raises OSError with the kernel's errno, Lacking for another reason, CantTell where it would touch something.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from ..btf.reader import FUNC, STRUCT, TYPEDEF
from ..errors import CallError
from ..kernel import bpf as rawbpf
from ..kernel.bpf import ProgramAttr
from ..libbpf.library import library

SLEEPABLE, HAS_FRAGS = 1 << 4, 1 << 5  # BPF_F_SLEEPABLE, BPF_F_XDP_HAS_FRAGS
TRACEPOINT = "oom_score_adj_update"  # of all kernels since 3.6; fires as someone writes /proc/*/oom_score_adj
TESTED = "bpf_fentry_test1"  # net/bpf/test_run.c, since 5.5: called by test runs of tracing programs alone
MODIFIED = "bpf_modify_return_test"  # there too, since 5.7; its return value may be modified
LSM_HOOK, CGROUP_HOOK = "bpf_lsm_settime", "bpf_lsm_socket_bind"
SECURITY_HOOK = "security_settime64"  # called as the clock is set, as is LSM_HOOK


class CantTell(Exception):
    """Why a kind can't be tried without touching something, or lacks what a try needs."""


class Lacking(Exception):
    """Why a kind can't be had, where it isn't the kernel's errno that says so."""


class Kind(NamedTuple):
    """What a try is told: the section, its program type and expected attach type, what the program returns.

    `target` is what an iterator goes over, "" where that isn't told.
    """

    section: str
    type: int
    attach_type: int
    value: int
    target: str = ""

    @property
    def head(self) -> str:
        """The section's first word without `.s`."""
        return self.section.split("/")[0].removesuffix(".s")

    def load(self, btf_id: int = 0, target: int = 0) -> ProgramAttr:
        """What loading its program takes."""
        sleeps = self.section.split("/")[0].endswith(".s") or self.section == "syscall"
        flags = SLEEPABLE if sleeps else HAS_FRAGS if "frags" in self.section else 0
        return ProgramAttr(self.type, self.attach_type, btf_id, target, flags)


@contextmanager
def loaded(kind: Kind, btf_id: int = 0, target: int = 0) -> Iterator[int]:
    """The descriptor of the kind's program, closed at the end."""
    fd = rawbpf.load(rawbpf.program_returning(kind.value), kind.load(btf_id, target))
    try:
        yield fd
    finally:
        os.close(fd)


@contextmanager
def refused_with(number: int) -> Iterator[None]:
    """Passes where the kernel refuses with that errno and no other, which it says after all other checks."""
    try:
        yield
    except OSError as error:
        if error.errno != number:
            raise


FUNCTIONS = TESTED, MODIFIED, LSM_HOOK, CGROUP_HOOK, SECURITY_HOOK, "bpf_iter_task"
STRUCTS = "bpf_dummy_ops", "bpf_struct_ops_bpf_dummy_ops"
# The types of the kernel that tries ask for, but for the iterators over anything else than tasks.
USUAL = {
    *((name, FUNC) for name in FUNCTIONS), *((name, STRUCT) for name in STRUCTS),
    (f"btf_trace_{TRACEPOINT}", TYPEDEF),
}  # fmt: skip
_ids: dict[tuple[str, int], int] = {}


def kernel_type(name: str, kind: int) -> int:
    """Returns the id of a type of the kernel's BTF. Raises Lacking without BTF, and where it has no such type."""
    if (name, kind) not in _ids:
        _find_ids({(name, kind)} | (USUAL - _ids.keys()))
    if not _ids[name, kind]:
        raise Lacking(f"this kernel's BTF has no {name}")
    return _ids[name, kind]


def _find_ids(wanted: set[tuple[str, int]]) -> None:
    """Looks for all that tries ask for at once: reading the kernel's BTF takes most of the time."""
    try:
        btf = library().btf__load_vmlinux_btf()
    except CallError as error:
        if error.errno in rawbpf.TRANSIENT:
            raise OSError(error.errno, error.what) from None
        raise Lacking("this kernel has no BTF (CONFIG_DEBUG_INFO_BTF)") from None
    try:
        for name, kind in wanted:
            try:
                _ids[name, kind] = library().btf__find_by_name_kind(btf, name.encode(), kind)
            except CallError:
                _ids[name, kind] = 0
    finally:
        library().btf__free(btf)


def load_only(kind: Kind) -> None:
    """For what is attached in ways that libbpf has no function for: the kernel takes the program."""
    with loaded(kind):
        pass
