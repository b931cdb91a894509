"""Loads BPF objects through libbpf.so.1: Python's standard library and nothing else.

Programs usually start from a generated skeleton, whose classes derive from those here.

    from socket_tracker_skel import SocketTracker

    with SocketTracker.open() as skel:                      # digest checked; destroyed, and so detached, at the end
        skel.rodata.target_pid = 42                         # constants: before load; skel.data and skel.bss: any time
        skel.maps.connections.max_entries = 4096            # before load
        skel.progs.on_connect_fentry.autoload = False       # or load only these: skel.select(["on_connect_kprobe"])
        skel.load()
        skel.attach()                                       # by section; the skeleton owns the links; or by hand:
        skel.progs.on_send.attach("/sys/fs/cgroup")         # a cgroup's path, an interface, a binary and a function …
        skel.maps.connections[key]                          # typed; len, iteration, items, del, .put(…, NOEXIST)
        for event in skel.maps.events:                      # for ever; also async for
            ...
        for event in skel.maps.events.events(timeout=1.0):  # until none has come for a second
            ...
        skel.maps.events.consume(print)                     # the available ones, by callback
        skel.maps.events.batch(), .tuples(), .batch(numpy=True)  # the available ones as a list, faster, as an array
        skel.maps.events.lost                               # how many found no room

`choose` picks the first of several variants that this kernel accepts. Every error is a BpfError and says the next step.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from .arch import arch_among
from .codec.base import Codec
from .codec.c_types import CTypes, Enum
from .codec.records import RecordError
from .codec.struct import Struct, Union, struct, union
from .errors import (
    AttachError,
    BpfError,
    CallError,
    DigestError,
    LayoutError,
    LibraryError,
    LoadError,
    MapError,
    MissingBtfError,
    ObjectError,
    PrivilegeError,
    RefusedError,
    StateError,
    VariantsError,
    VerifierError,
    errno_text,
)
from .libbpf.library import use_libbpf, version
from .link.base import Link
from .link.collection import Links
from .map.base import ANY, EXIST, LOCK, NOEXIST, Map
from .map.hash import Hash
from .object.bpf_object import Object
from .object.collections import Maps, Progs
from .object.variables import Kconfig, Section
from .program.base import Program
from .program.kprobe import (
    ExtensionProgram,
    KprobeMultiProgram,
    KprobeProgram,
    KsyscallProgram,
    RawTracepointProgram,
    TracepointProgram,
    TracingMultiProgram,
    TracingProgram,
)
from .program.network import (
    CgroupProgram,
    NetfilterProgram,
    NetnsProgram,
    ReuseportProgram,
    SocketFilterProgram,
    SockmapProgram,
    XdpProgram,
)
from .program.runnable import RunResult
from .rings.ringbuf import RingBuffer

if TYPE_CHECKING:
    from .features.attach import Support, attach_kind, supports
    from .features.report import Report, probe
    from .histogram import linear_histogram, log2_histogram
    from .kernel.objects import ProgramInfo
    from .kernel.verifier_figures import VerifierFigures
    from .link.existing import ExistingLink, open_link
    from .map.arena import Arena
    from .map.array import Array, Elements
    from .map.info import MapInfo
    from .map.local_storage import CgroupStorage, InodeStorage, SkStorage, TaskStorage
    from .map.lpm_trie import LpmTrie
    from .map.map_in_map import ArrayOfMaps, HashOfMaps, KernelId, ProgArray, inner
    from .map.percpu import PerCpuArray, PerCpuHash
    from .map.queue import BloomFilter, Queue, Stack
    from .map.redirect import CgroupArray, CpuMap, DevMap, DevMapHash, ReuseportSockArray, SockHash, SockMap, XskMap
    from .map.stack_trace import Frame, StackTrace
    from .object.choose import Choice, choose
    from .object.open_map import open_map
    from .program.existing import ExistingProgram, open_program
    from .program.iter import IterLink, IterProgram
    from .program.perf_event import PerfEventProgram
    from .program.sections import program_class
    from .program.struct_ops import StructOpsLink, StructOpsMap, StructOpsProgram
    from .program.syscall import SyscallProgram
    from .program.tc import NetkitProgram, TcProgram
    from .program.uprobe import UprobeMultiProgram, UprobeProgram, UsdtProgram
    from .rings.perf_buffer import PerfEventArray
    from .rings.poll import events, poll
    from .rings.user_ringbuf import UserRingBuffer
    from .symbols.kernel import kernel_symbol
    from .symbols.user import UserSymbols, user_symbol
    from .system.snapshot import SystemLink, SystemMap, SystemProgram, links, maps, programs
    from .system.statistics import run_statistics
    from .verifier.verify import ProgramFigures, SourceVisits, verify

# Imported on first use (PEP 562), as the imports above tell type checkers: a program uses few of them, and importing
# all of them takes twice as long.
_LAZY = {
    "features.attach": "Support attach_kind supports",
    "features.report": "Report probe",
    "histogram": "linear_histogram log2_histogram",
    "kernel.objects": "ProgramInfo",
    "kernel.verifier_figures": "VerifierFigures",
    "link.existing": "ExistingLink open_link",
    "map.arena": "Arena",
    "map.array": "Array Elements",
    "map.info": "MapInfo",
    "map.local_storage": "CgroupStorage InodeStorage SkStorage TaskStorage",
    "map.lpm_trie": "LpmTrie",
    "map.map_in_map": "ArrayOfMaps HashOfMaps KernelId ProgArray inner",
    "map.percpu": "PerCpuArray PerCpuHash",
    "map.queue": "BloomFilter Queue Stack",
    "map.redirect": "CgroupArray CpuMap DevMap DevMapHash ReuseportSockArray SockHash SockMap XskMap",
    "map.stack_trace": "Frame StackTrace",
    "object.choose": "Choice choose",
    "object.open_map": "open_map",
    "program.existing": "ExistingProgram open_program",
    "program.iter": "IterLink IterProgram",
    "program.perf_event": "PerfEventProgram",
    "program.sections": "program_class",
    "program.struct_ops": "StructOpsLink StructOpsMap StructOpsProgram",
    "program.syscall": "SyscallProgram",
    "program.tc": "NetkitProgram TcProgram",
    "program.uprobe": "UprobeMultiProgram UprobeProgram UsdtProgram",
    "rings.perf_buffer": "PerfEventArray",
    "rings.poll": "events poll",
    "rings.user_ringbuf": "UserRingBuffer",
    "symbols.kernel": "kernel_symbol",
    "symbols.user": "UserSymbols user_symbol",
    "system.snapshot": "SystemLink SystemMap SystemProgram links maps programs",
    "system.statistics": "run_statistics",
    "verifier.verify": "ProgramFigures SourceVisits verify",
}
_MODULES = {name: module for module, names in _LAZY.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    """Imports a name of `__all__` on first use."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


little_endian = CTypes("<")
big_endian = CTypes(">")
native_endian = little_endian if sys.byteorder == "little" else big_endian

__all__ = [
    "ANY", "Arena", "Array", "ArrayOfMaps", "AttachError", "BloomFilter", "BpfError", "CTypes", "CallError",
    "CgroupArray", "CgroupProgram", "CgroupStorage", "Choice", "Codec", "CpuMap", "DevMap", "DevMapHash", "DigestError",
    "EXIST", "Elements", "Enum", "ExistingLink", "ExistingProgram", "ExtensionProgram", "Frame", "Hash", "HashOfMaps",
    "InodeStorage", "IterLink", "IterProgram", "Kconfig", "KernelId", "KprobeMultiProgram", "KprobeProgram",
    "KsyscallProgram", "LOCK", "LayoutError", "LibraryError", "Link", "Links", "LoadError", "LpmTrie", "Map",
    "MapError", "MapInfo", "Maps", "MissingBtfError", "NOEXIST", "NetfilterProgram", "NetkitProgram", "NetnsProgram",
    "Object", "ObjectError", "PerCpuArray", "PerCpuHash", "PerfEventArray", "PerfEventProgram", "PrivilegeError",
    "ProgArray", "Program", "ProgramFigures", "ProgramInfo", "Progs", "Queue", "RawTracepointProgram", "RecordError",
    "RefusedError", "Report", "ReuseportProgram", "ReuseportSockArray", "RingBuffer", "RunResult", "Section",
    "SkStorage", "SockHash", "SockMap", "SocketFilterProgram", "SockmapProgram", "SourceVisits", "Stack", "StackTrace",
    "StateError", "Struct", "StructOpsLink", "StructOpsMap", "StructOpsProgram", "Support", "SyscallProgram",
    "SystemLink", "SystemMap", "SystemProgram", "TaskStorage", "TcProgram", "TracepointProgram", "TracingMultiProgram",
    "TracingProgram", "Union", "UprobeMultiProgram", "UprobeProgram", "UsdtProgram", "UserRingBuffer", "UserSymbols",
    "VariantsError", "VerifierError", "VerifierFigures", "XdpProgram", "XskMap", "arch_among", "attach_kind",
    "big_endian", "choose", "errno_text", "events", "inner", "kernel_symbol", "linear_histogram", "links",
    "little_endian", "log2_histogram", "maps", "native_endian", "open_link", "open_map", "open_program", "poll",
    "probe", "program_class", "programs", "run_statistics", "struct", "supports", "union", "use_libbpf", "user_symbol",
    "verify", "version",
]  # fmt: skip
