"""What this kernel can do: its program types, map types, helpers and ways to attach, each one asked of it.

libbpf has functions that ask for the first three (libbpf_probe_bpf_prog_type and its like), but they know no more than
the libbpf that is installed: 1.1 says on Linux 6.18 that each program type has every helper, for it looks for words
that the verifier no longer uses, and that there are no tracing programs where only fentry can't be had.
"""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import Any, NamedTuple

from ..btf.reader import FUNC, STRUCT, TYPEDEF
from ..errors import ENOTSUPP, LibraryError
from ..kernel import bpf as rawbpf
from ..kernel import host
from ..kernel.bpf import TRANSIENT, ProgramAttr, MapAttr
from ..kernel.map_type import MapType
from ..kernel.versions import Feature, helpers, map_types, program_types, section_kind
from ..libbpf.library import version
from . import try_freplace, try_iter
from .attach import Support, attach_kind, attach_kinds, refused, told
from .trial import LSM_HOOK, MODIFIED, TESTED, TRACEPOINT, CantTell, Lacking, kernel_type
from .try_iter import NO_PREALLOC, STORAGE

PAGE = os.sysconf("SC_PAGE_SIZE")
MMAPABLE = 1 << 10  # BPF_F_MMAPABLE
# What a map of a type is made of, where it isn't a key and a value of 4 bytes each.
MAPS = {
    "stack_trace": MapAttr(value=8), "lpm_trie": MapAttr(8, 8, 1, NO_PREALLOC), "queue": MapAttr(key=0),
    "stack": MapAttr(key=0), "bloom_filter": MapAttr(key=0), "cgroup_storage": MapAttr(16, 8, 0),
    "percpu_cgroup_storage": MapAttr(16, 8, 0), "ringbuf": MapAttr(0, 0, PAGE), "user_ringbuf": MapAttr(0, 0, PAGE),
    "arena": MapAttr(0, 0, 1, MMAPABLE), "insn_array": MapAttr(4, 16, 1), "sk_storage": STORAGE,
    "inode_storage": STORAGE, "task_storage": STORAGE, "cgrp_storage": STORAGE,
    "struct_ops": MapAttr(kernel_type=1),  # no struct of operations: ENOTSUPP is what a kernel says that has the type
}  # fmt: skip
# The section whose way to load stands for a program type, where there is one; the rest load as they are.
LOADED_AS = {
    "kprobe": "kprobe", "sched_cls": "tc", "sched_act": "action", "xdp": "xdp", "cgroup_skb": "cgroup_skb/egress",
    "cgroup_sock": "cgroup/sock_create", "sock_ops": "sockops", "sk_skb": "sk_skb/stream_verdict", "sk_msg": "sk_msg",
    "cgroup_device": "cgroup/dev", "cgroup_sock_addr": "cgroup/connect4", "sk_reuseport": "sk_reuseport",
    "flow_dissector": "flow_dissector", "cgroup_sysctl": "cgroup/sysctl", "cgroup_sockopt": "cgroup/getsockopt",
    "tracing": "tp_btf", "lsm": "lsm", "sk_lookup": "sk_lookup", "syscall": "syscall", "netfilter": "netfilter",
    "struct_ops": "struct_ops", "ext": "freplace",
}  # fmt: skip
# What they are loaded for, as the kernel's BTF names it.
LOADED_FOR = {
    "tp_btf": (f"btf_trace_{TRACEPOINT}", TYPEDEF), "iter": ("bpf_iter_task", FUNC), "fentry": (TESTED, FUNC),
    "fexit": (TESTED, FUNC), "fmod_ret": (MODIFIED, FUNC), "lsm": (LSM_HOOK, FUNC),
    "struct_ops": ("bpf_dummy_ops", STRUCT),
}  # fmt: skip
# What the verifier says of a helper that a kernel, or a program type of it, hasn't: since 4.9, since 4.9, since 6.12.
NO_HELPER = b"invalid func ", b"unknown func ", b"program of this type cannot use helper"


class Environment(NamedTuple):
    """What decides beside the kernel's version; None, or empty, where it isn't told."""

    btf: bool
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
    """What this kernel can do, each part asked for as it is first read and then kept.

    `attach["fentry"].ok`, `.reason`, `.since`; `program_types["xdp"]` and `map_types["ringbuf"]` likewise;
    `helpers["xdp"]` is the names of those that programs of that type may call.
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
        return _environment()

    @cached_property
    def attach(self) -> Mapping[str, Support]:
        """The ways to attach, by section."""
        return {name: attach_kind(name) for name in attach_kinds()}

    @cached_property
    def program_types(self) -> Mapping[str, Support]:
        """The program types, as linux/bpf.h names them, in lower case without BPF_PROG_TYPE_."""
        return {feature.name: _program_type(feature) for feature in program_types()}

    @cached_property
    def map_types(self) -> Mapping[str, Support]:
        """The map types, in lower case without BPF_MAP_TYPE_."""
        return {feature.name: _map_type(feature) for feature in map_types()}

    @cached_property
    def helpers(self) -> Mapping[str, tuple[str, ...]]:
        """The helpers that each program type may call, as `bpf_map_lookup_elem`, by the type's name.

        A type isn't there where no program of it loads, for then the verifier doesn't say, or where the kernel had no
        memory to say all; nor is struct_ops, where it depends on the struct.
        """
        types = [name for name, said in self.program_types.items() if said and name != "struct_ops"]
        found = {name: _helpers(name) for name in types}
        return {name: names for name, names in found.items() if names is not None}

    def as_dict(self) -> dict[str, Any]:
        """All of it in plain values, as `python -m bpfloader probe --json` prints it."""
        parts = {"attach": self.attach, "map_types": self.map_types, "program_types": self.program_types}
        return {
            "format": 1,
            "kernel": self.kernel,
            "machine": self.machine,
            "libbpf": self.libbpf,
            "environment": self.environment._asdict(),
            "helpers": {name: sorted(found) for name, found in self.helpers.items()},
            **{key: {name: plain(said) for name, said in part.items()} for key, part in parts.items()},
        }


def probe() -> Report:
    """What this kernel can do. Costs next to nothing itself: each part is asked for as it is read, 0.5 s for all."""
    return Report()


def map_type(name: str) -> Support | None:
    """Whether this kernel makes maps of a type such as `ringbuf`; None for a type that isn't in the table."""
    return next((_map_type(feature) for feature in map_types() if feature.name == name), None)


def plain(said: Support) -> dict[str, Any]:
    """One answer in plain values: `ok` is true, false or null."""
    return {"ok": said.ok, "reason": said.reason, "since": said.since, "number": said.number}


def _environment() -> Environment:
    names = sorted({name for names in host.OPTIONS.values() for name in names} | {*host.COMMON_OPTIONS})
    config = host.kernel_config()
    return Environment(
        btf=os.path.exists("/sys/kernel/btf/vmlinux"),
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


@contextmanager
def _loading(name: str, section: str = "") -> Iterator[ProgramAttr]:
    """How a program of a type is loaded. Raises OSError, Lacking, CantTell where what it takes isn't there."""
    kind = section_kind(section or LOADED_AS.get(name, ""))
    if kind and name == "ext":
        with try_freplace.target(told(kind)) as what:
            yield what
        return
    number = next(feature.number for feature in program_types() if feature.name == name)
    what = told(kind).load() if kind else ProgramAttr(number)
    if kind and kind.section in LOADED_FOR:
        what = what._replace(btf_id=kernel_type(*LOADED_FOR[kind.section]))
    yield what


def _program_type(feature: Feature) -> Support:
    kind = section_kind(LOADED_AS.get(feature.name, ""))
    ok: bool | None = True
    reason = ""
    try:
        with _loading(feature.name) as what:
            os.close(rawbpf.load(rawbpf.program_returning(told(kind).value if kind else 0), what))
    except OSError as error:
        ok, reason = refused(error.errno or errno.EINVAL, host.program_capabilities([feature.name]), feature.kernel)
    except (Lacking, CantTell, LibraryError) as error:
        ok, reason = None, str(error).splitlines()[0]
    return Support(feature.name, ok, reason, feature.kernel, feature.number)


def _map_type(feature: Feature) -> Support:
    ok: bool | None = True
    reason = ""
    try:
        _make(feature)
    except OSError as error:
        if (feature.name, error.errno) != ("struct_ops", ENOTSUPP):
            ok, reason = refused(error.errno or errno.EINVAL, host.map_capabilities(feature.name), feature.kernel)
    return Support(feature.name, ok, reason, feature.kernel, feature.number)


def _make(feature: Feature) -> None:
    """Makes a map of a type, with what has to be there before it. Raises OSError."""
    spec = MAPS.get(feature.name, MapAttr())
    if not feature.name.endswith("_of_maps"):
        os.close(try_iter.create(feature.number, spec))
        return
    inner = rawbpf.create_map(MapType.HASH, MapAttr())
    try:
        os.close(rawbpf.create_map(feature.number, spec._replace(inner=inner)))
    finally:
        os.close(inner)


def _helpers(name: str) -> tuple[str, ...] | None:
    """The helpers that the verifier lets programs of a type call, whatever way to attach they are for.

    None where it could not say of each.
    """
    found: set[Feature] = set()
    log = ctypes.create_string_buffer(4096)
    for section in ("tp_btf", "iter", "fentry", "fexit", "fmod_ret") if name == "tracing" else ("",):
        try:
            with _loading(name, section) as what:
                os.close(rawbpf.load(rawbpf.program_returning(0), what))  # else a call's refusal says nothing of it
                found.update(helper for helper in helpers() if _may_call(helper.number, what, log))
        except OSError as error:
            if error.errno in TRANSIENT:
                return None
        except (Lacking, CantTell):
            pass
    return tuple(f"bpf_{helper.name}" for helper in sorted(found))


def _may_call(helper: int, what: ProgramAttr, log: ctypes.Array[ctypes.c_char]) -> bool:
    log[0] = b"\0"
    try:
        os.close(rawbpf.load(rawbpf.program_calling(helper), what, log))
    except OSError as error:
        if error.errno in TRANSIENT:
            raise
        return log[0] != b"\0" and not any(words in log.value for words in NO_HELPER)
    return True
