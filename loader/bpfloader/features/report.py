"""Reports what this kernel supports: program types, map types, helpers and ways to attach, each one tried.

libbpf's own probes of the first three (libbpf_probe_bpf_prog_type and its like) know no more than the libbpf that is
installed: 1.1 says on Linux 6.18 that each program type has every helper, for it looks for words that the verifier no
longer uses, and that there are no tracing programs where only fentry is missing.
"""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import Any, NamedTuple

from ..btf.path import KERNEL_BTF
from ..btf.reader import FUNC, STRUCT, TYPEDEF
from ..errors import ENOTSUPP, LibraryError, ObjectError
from ..kernel import bpf as rawbpf
from ..kernel import host
from ..kernel.bpf import TRANSIENT, MapAttr, ProgramAttr
from ..kernel.instructions import program_calling, program_returning
from ..kernel.map_type import BPF_F_MMAPABLE, BPF_F_NO_PREALLOC, MapType
from ..kernel.versions import Feature, helpers, map_types, program_types, section_kind
from ..libbpf.library import version
from ..package.kernel_btf import fitting, own_package
from . import try_freplace, try_iter
from .attach import Support, answer_for_errno, attach_kind, attach_kinds, trial_of
from .trial import (
    LSM_HOOK,
    MODIFIABLE_FUNCTION,
    TEST_FUNCTION,
    TRACEPOINT,
    CantTell,
    KernelType,
    NotSupported,
    kernel_type,
)
from .try_iter import STORAGE

PAGE = os.sysconf("SC_PAGE_SIZE")
# The attributes of a map of a type, where they aren't a key and a value of 4 bytes each.
MAP_ATTRS = {
    "stack_trace": MapAttr(value=8), "lpm_trie": MapAttr(8, 8, 1, BPF_F_NO_PREALLOC), "queue": MapAttr(key=0),
    "stack": MapAttr(key=0), "bloom_filter": MapAttr(key=0), "cgroup_storage": MapAttr(16, 8, 0),
    "percpu_cgroup_storage": MapAttr(16, 8, 0), "ringbuf": MapAttr(0, 0, PAGE), "user_ringbuf": MapAttr(0, 0, PAGE),
    "arena": MapAttr(0, 0, 1, BPF_F_MMAPABLE), "insn_array": MapAttr(4, 16, 1), "sk_storage": STORAGE,
    "inode_storage": STORAGE, "task_storage": STORAGE, "cgrp_storage": STORAGE,
    "rhash": MapAttr(flags=BPF_F_NO_PREALLOC),
    "struct_ops": MapAttr(kernel_type=1),  # no struct of operations: a kernel that has the type says ENOTSUPP
}  # fmt: skip
# The section as which a program type is loaded; those not here need no attach type.
SECTION_OF_TYPE = {
    "kprobe": "kprobe", "sched_cls": "tc", "sched_act": "action", "xdp": "xdp", "cgroup_skb": "cgroup_skb/egress",
    "cgroup_sock": "cgroup/sock_create", "sock_ops": "sockops", "sk_skb": "sk_skb/stream_verdict", "sk_msg": "sk_msg",
    "cgroup_device": "cgroup/dev", "cgroup_sock_addr": "cgroup/connect4", "sk_reuseport": "sk_reuseport",
    "flow_dissector": "flow_dissector", "cgroup_sysctl": "cgroup/sysctl", "cgroup_sockopt": "cgroup/getsockopt",
    "tracing": "tp_btf", "lsm": "lsm", "sk_lookup": "sk_lookup", "syscall": "syscall", "netfilter": "netfilter",
    "struct_ops": "struct_ops", "ext": "freplace",
}  # fmt: skip
# The targets that sections are loaded for, by their names in the kernel's BTF.
BTF_TARGETS = {
    "tp_btf": KernelType(f"btf_trace_{TRACEPOINT}", TYPEDEF),
    "iter": KernelType("bpf_iter_task", FUNC),
    "fentry": KernelType(TEST_FUNCTION, FUNC),
    "fexit": KernelType(TEST_FUNCTION, FUNC),
    "fmod_ret": KernelType(MODIFIABLE_FUNCTION, FUNC),
    "lsm": KernelType(LSM_HOOK, FUNC),
    "struct_ops": KernelType("bpf_dummy_ops", STRUCT),
}
# The verifier's words for a helper that a kernel, or a program type of it, lacks: since 4.9, since 4.9, since 6.12.
NO_HELPER = b"invalid func ", b"unknown func ", b"program of this type cannot use helper"


class Environment(NamedTuple):
    """The conditions beside the kernel's version; None, or empty, where one is unknown."""

    btf: bool
    packed_btf: tuple[str, ...]
    jit: int | None
    unprivileged_bpf_disabled: int | None
    lockdown: str
    security_modules: str
    capabilities: tuple[str, ...]
    user_namespace: bool
    seccomp_filter: bool
    memlock_limit: int | None
    mounts: dict[str, str]
    config: dict[str, bool]


class Report:
    """This kernel's support of attaching, types and helpers; each part is tried when first read, and then kept.

    `attach["fentry"].ok`, `.reason`, `.since`; `program_types["xdp"]` and `map_types["ringbuf"]` likewise;
    `helpers["xdp"]` are the names of those that programs of that type may call.
    """

    def __init__(self) -> None:
        self.kernel, self.machine = host.kernel_release(), os.uname().machine

    def __repr__(self) -> str:
        return f"<bpfloader.probe() of Linux {self.kernel} {self.machine}>"

    @cached_property
    def libbpf(self) -> str:
        """The version of the libbpf in use, empty where there is none."""
        try:
            return version()
        except LibraryError:
            return ""

    @cached_property
    def environment(self) -> Environment:
        """BTF, JIT, privileges, limits, where file systems are mounted, the kernel's configuration."""
        return _read_environment()

    @cached_property
    def attach(self) -> Mapping[str, Support]:
        """The ways to attach, by section."""
        return {name: attach_kind(name) for name in attach_kinds()}

    @cached_property
    def program_types(self) -> Mapping[str, Support]:
        """The program types, as linux/bpf.h names them, in lower case without BPF_PROG_TYPE_."""
        return {feature.name: _try_program_type(feature) for feature in program_types()}

    @cached_property
    def map_types(self) -> Mapping[str, Support]:
        """The map types, in lower case without BPF_MAP_TYPE_."""
        return {feature.name: _try_map_type(feature) for feature in map_types()}

    @cached_property
    def helpers(self) -> Mapping[str, tuple[str, ...]]:
        """The helpers that each program type may call, as `bpf_map_lookup_elem`, by the type's name.

        Leaves out types of which no program loads, for then the verifier doesn't say, and those for which the kernel
        ran out of memory; and struct_ops, where it depends on the struct.
        """
        types = [name for name, support in self.program_types.items() if support and name != "struct_ops"]
        found = {name: _helpers(name) for name in types}
        return {name: names for name, names in found.items() if names is not None}

    def as_dict(self) -> dict[str, Any]:
        """Returns all of it in plain values, as `python -m bpfloader probe --json` prints it."""
        parts = {"attach": self.attach, "map_types": self.map_types, "program_types": self.program_types}
        return {
            "format": 1,
            "kernel": self.kernel,
            "machine": self.machine,
            "libbpf": self.libbpf,
            "environment": self.environment._asdict(),
            "helpers": {name: sorted(found) for name, found in self.helpers.items()},
            **{key: {name: support_dict(support) for name, support in part.items()} for key, part in parts.items()},
        }


def probe() -> Report:
    """Returns what this kernel supports. Each part is tried when it is first read; all take 0.5 s."""
    return Report()


def map_type_support(name: str) -> Support | None:
    """Tries if this kernel makes maps of a type such as `ringbuf`; None for a type that isn't in the table."""
    return next((_try_map_type(feature) for feature in map_types() if feature.name == name), None)


def support_dict(support: Support) -> dict[str, Any]:
    """Returns one answer in plain values: `ok` is true, false or null."""
    return {"ok": support.ok, "reason": support.reason, "since": support.since, "number": support.number}


def _read_environment() -> Environment:
    names = sorted({name for names in host.OPTIONS.values() for name in names} | {*host.COMMON_OPTIONS})
    config = host.kernel_config()
    return Environment(
        btf=os.path.exists(KERNEL_BTF),
        packed_btf=_packed_btf(),
        jit=host.jit(),
        unprivileged_bpf_disabled=host.unprivileged_bpf_disabled(),
        lockdown=host.lockdown(),
        security_modules=host.security_modules(),
        capabilities=host.capabilities(),
        user_namespace=host.in_user_namespace(),
        seccomp_filter=host.has_seccomp_filter(),
        memlock_limit=host.memlock_limit(),
        mounts=host.mounts(("bpf", "cgroup2", "tracefs")),
        config={f"CONFIG_{name}": name in config for name in names if config},
    )


def _packed_btf() -> tuple[str, ...]:
    """Returns what the package that this loader is part of holds for this kernel, which has no BTF itself."""
    folder = own_package()
    if not folder or os.path.exists(KERNEL_BTF):
        return ()
    try:
        return tuple(fitting(folder))
    except ObjectError:
        return ()


@contextmanager
def _program_attr(name: str, section: str = "") -> Iterator[ProgramAttr]:
    """Yields the attributes that load a program of a type. Raises OSError, NotSupported, CantTell."""
    kind = section_kind(section or SECTION_OF_TYPE.get(name, ""))
    if kind and name == "ext":
        with try_freplace.extension(trial_of(kind)) as attr:
            yield attr
        return
    number = next(feature.number for feature in program_types() if feature.name == name)
    attr = trial_of(kind).program_attr() if kind else ProgramAttr(number)
    if kind and kind.section in BTF_TARGETS:
        attr = attr._replace(btf_id=kernel_type(*BTF_TARGETS[kind.section]))
    yield attr


def _try_program_type(feature: Feature) -> Support:
    kind = section_kind(SECTION_OF_TYPE.get(feature.name, ""))
    ok: bool | None = True
    reason = ""
    try:
        with _program_attr(feature.name) as attr:
            os.close(rawbpf.load_program(program_returning(trial_of(kind).return_value if kind else 0), attr))
    except OSError as error:
        ok, reason = answer_for_errno(
            error.errno or errno.EINVAL, host.program_capabilities([feature.name]), feature.kernel
        )
    except (NotSupported, CantTell, LibraryError) as error:
        ok, reason = None, str(error).splitlines()[0]
    return Support(feature.name, ok, reason, feature.kernel, feature.number)


def _try_map_type(feature: Feature) -> Support:
    ok: bool | None = True
    reason = ""
    try:
        _make_map(feature)
    except OSError as error:
        if (feature.name, error.errno) != ("struct_ops", ENOTSUPP):
            ok, reason = answer_for_errno(
                error.errno or errno.EINVAL, host.map_capabilities(feature.name), feature.kernel
            )
    return Support(feature.name, ok, reason, feature.kernel, feature.number)


def _make_map(feature: Feature) -> None:
    """Makes a map of a type, with the inner map or BTF that it needs. Raises OSError."""
    spec = MAP_ATTRS.get(feature.name, MapAttr())
    if not feature.name.endswith("_of_maps"):
        os.close(try_iter.create_typed_map(feature.number, spec))
        return
    inner = rawbpf.create_map(MapType.HASH, MapAttr())
    try:
        os.close(rawbpf.create_map(feature.number, spec._replace(inner=inner)))
    finally:
        os.close(inner)


def _helpers(name: str) -> tuple[str, ...] | None:
    """Returns the helpers that the verifier lets programs of a type call, whatever way to attach they are for.

    None if the kernel couldn't answer for each.
    """
    found: set[Feature] = set()
    log = ctypes.create_string_buffer(4096)
    for section in ("tp_btf", "iter", "fentry", "fexit", "fmod_ret") if name == "tracing" else ("",):
        try:
            with _program_attr(name, section) as attr:
                os.close(rawbpf.load_program(program_returning(0), attr))  # else a call's refusal says nothing of it
                found.update(helper for helper in helpers() if _may_call(helper.number, attr, log))
        except OSError as error:
            if error.errno in TRANSIENT:
                return None
        except (NotSupported, CantTell):
            pass
    return tuple(f"bpf_{helper.name}" for helper in sorted(found))


def _may_call(helper: int, attr: ProgramAttr, log: ctypes.Array[ctypes.c_char]) -> bool:
    log[0] = b"\0"
    try:
        os.close(rawbpf.load_program(program_calling(helper), attr, log))
    except OSError as error:
        if error.errno in TRANSIENT:
            raise
        return log[0] != b"\0" and not any(words in log.value for words in NO_HELPER)
    return True
