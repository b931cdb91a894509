"""Tries a kind: loads a tiny program and really attaches it, where nothing ever calls it.

A try attaches to functions that only BPF's own self-tests call, a tracepoint that hardly ever fires, a socket, a map or
a network namespace of its own, so it can't touch anything else. Where there is no such place, or ending it takes long,
the target doesn't exist (no such file, no cgroup), and the kind counts as supported if the kernel has no other
objection. Each try raises OSError with the kernel's errno, NotSupported for another reason, CantTell where it would
touch something.
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
from ..kernel.instructions import program_returning
from ..libbpf.library import library

SLEEPABLE, HAS_FRAGS = 1 << 4, 1 << 5  # BPF_F_SLEEPABLE, BPF_F_XDP_HAS_FRAGS
TRACEPOINT = "oom_score_adj_update"  # of all kernels since 3.6; fires as someone writes /proc/*/oom_score_adj
TEST_FUNCTION = "bpf_fentry_test1"  # net/bpf/test_run.c, since 5.5: called by test runs of tracing programs alone
MODIFIABLE_FUNCTION = "bpf_modify_return_test"  # net/bpf/test_run.c, since 5.7; programs may modify its return value
LSM_HOOK, CGROUP_HOOK = "bpf_lsm_settime", "bpf_lsm_socket_bind"
SECURITY_HOOK = "security_settime64"  # called as the clock is set, as is LSM_HOOK


class CantTell(Exception):
    """Raised for a kind that can't be tried without touching something, or for want of what a try needs."""


class NotSupported(Exception):
    """Raised for a kind that is missing for another reason than the kernel's errno."""


class KernelType(NamedTuple):
    """A type of the kernel's BTF, by its name and its kind, such as FUNC."""

    name: str
    kind: int


class Trial(NamedTuple):
    """A kind to try: the section, its program type and expected attach type, the program's return value.

    `target` is what an iterator goes over, "" for tasks.
    """

    section: str
    type: int
    attach_type: int
    return_value: int
    target: str = ""

    @property
    def head(self) -> str:
        """The section's first word without `.s`."""
        return self.section.split("/")[0].removesuffix(".s")

    def program_attr(self, btf_id: int = 0, target: int = 0) -> ProgramAttr:
        """Returns the attributes that load its program."""
        sleeps = self.section.split("/")[0].endswith(".s") or self.section == "syscall"
        flags = SLEEPABLE if sleeps else HAS_FRAGS if "frags" in self.section else 0
        return ProgramAttr(self.type, self.attach_type, btf_id, target, flags)


@contextmanager
def loaded(trial: Trial, btf_id: int = 0, target: int = 0) -> Iterator[int]:
    """Loads the trial's program for the `with`; yields its descriptor."""
    fd = rawbpf.load_program(program_returning(trial.return_value), trial.program_attr(btf_id, target))
    try:
        yield fd
    finally:
        os.close(fd)


@contextmanager
def expect_errno(number: int) -> Iterator[None]:
    """Passes over that errno, which the kernel returns after all other checks; raises any other."""
    try:
        yield
    except OSError as error:
        if error.errno != number:
            raise


TRIED_FUNCTIONS = TEST_FUNCTION, MODIFIABLE_FUNCTION, LSM_HOOK, CGROUP_HOOK, SECURITY_HOOK, "bpf_iter_task"
TRIED_STRUCTS = "bpf_dummy_ops", "bpf_struct_ops_bpf_dummy_ops"
# The kernel's types that tries need, except for iterators over anything other than tasks.
TRIED_TYPES = {
    *(KernelType(name, FUNC) for name in TRIED_FUNCTIONS), *(KernelType(name, STRUCT) for name in TRIED_STRUCTS),
    KernelType(f"btf_trace_{TRACEPOINT}", TYPEDEF),
}  # fmt: skip
_ids: dict[KernelType, int] = {}  # 0 for one that the kernel lacks


def kernel_type(name: str, kind: int) -> int:
    """Returns the id of a type of the kernel's BTF. Raises NotSupported without BTF, and where it has no such type."""
    wanted = KernelType(name, kind)
    if wanted not in _ids:
        _find_ids({wanted} | (TRIED_TYPES - _ids.keys()))
    if not _ids[wanted]:
        raise NotSupported(f"this kernel's BTF has no {name}")
    return _ids[wanted]


def _find_ids(wanted: set[KernelType]) -> None:
    """Looks up all that tries need at once: reading the kernel's BTF takes most of the time."""
    try:
        btf = library().btf__load_vmlinux_btf()
    except CallError as error:
        if error.errno in rawbpf.TRANSIENT:
            raise OSError(error.errno, error.what) from None
        raise NotSupported("this kernel has no BTF (CONFIG_DEBUG_INFO_BTF)") from None
    try:
        for each in wanted:
            try:
                _ids[each] = library().btf__find_by_name_kind(btf, each.name.encode(), each.kind)
            except CallError:
                _ids[each] = 0
    finally:
        library().btf__free(btf)


def load_only(trial: Trial) -> None:
    """Loads the program: libbpf has no function that attaches its kind."""
    with loaded(trial):
        pass
