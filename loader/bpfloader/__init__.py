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
from types import ModuleType
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
from .maps.base import ANY, EXIST, LOCK, NOEXIST, Map
from .maps.hash import Hash
from .object.bpf_object import Object
from .object.collections import Maps, Progs
from .object.variables import Kconfig, Section
from .programs.base import Program
from .programs.kprobe import (
    ExtensionProgram,
    KprobeMultiProgram,
    KprobeProgram,
    KsyscallProgram,
    RawTracepointProgram,
    TracepointProgram,
    TracingMultiProgram,
    TracingProgram,
)
from .programs.network import (
    CgroupProgram,
    NetfilterProgram,
    NetnsProgram,
    ReuseportProgram,
    SocketFilterProgram,
    SockmapProgram,
    XdpProgram,
)
from .programs.runnable import RunResult
from .rings.ringbuf import RingBuffer

if TYPE_CHECKING:
    from .features.attach import Support, attach_kind, supports
    from .features.report import Report, probe
    from .histogram import linear_histogram, log2_histogram
    from .kernel.objects import ProgramInfo
    from .kernel.verifier_figures import VerifierFigures
    from .link.existing import ExistingLink, open_link
    from .maps.arena import Arena
    from .maps.array import Array, Elements
    from .maps.info import MapInfo
    from .maps.local_storage import CgroupStorage, InodeStorage, SkStorage, TaskStorage
    from .maps.lpm_trie import LpmTrie
    from .maps.map_in_map import ArrayOfMaps, HashOfMaps, KernelId, ProgArray, inner
    from .maps.percpu import PerCpuArray, PerCpuHash
    from .maps.queue import BloomFilter, Queue, Stack
    from .maps.redirect import CgroupArray, CpuMap, DevMap, DevMapHash, ReuseportSockArray, SockHash, SockMap, XskMap
    from .maps.stack_trace import Frame, StackTrace
    from .object.choose import Choice, choose
    from .object.open_map import open_map
    from .programs.existing import ExistingProgram, open_program
    from .programs.iter import IterLink, IterProgram
    from .programs.perf_event import PerfEventProgram
    from .programs.sections import program_class
    from .programs.struct_ops import StructOpsLink, StructOpsMap, StructOpsProgram
    from .programs.syscall import SyscallProgram
    from .programs.tc import NetkitProgram, TcProgram
    from .programs.uprobe import UprobeMultiProgram, UprobeProgram, UsdtProgram
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
    "maps.arena": "Arena",
    "maps.array": "Array Elements",
    "maps.info": "MapInfo",
    "maps.local_storage": "CgroupStorage InodeStorage SkStorage TaskStorage",
    "maps.lpm_trie": "LpmTrie",
    "maps.map_in_map": "ArrayOfMaps HashOfMaps KernelId ProgArray inner",
    "maps.percpu": "PerCpuArray PerCpuHash",
    "maps.queue": "BloomFilter Queue Stack",
    "maps.redirect": "CgroupArray CpuMap DevMap DevMapHash ReuseportSockArray SockHash SockMap XskMap",
    "maps.stack_trace": "Frame StackTrace",
    "object.choose": "Choice choose",
    "object.open_map": "open_map",
    "programs.existing": "ExistingProgram open_program",
    "programs.iter": "IterLink IterProgram",
    "programs.perf_event": "PerfEventProgram",
    "programs.sections": "program_class",
    "programs.struct_ops": "StructOpsLink StructOpsMap StructOpsProgram",
    "programs.syscall": "SyscallProgram",
    "programs.tc": "NetkitProgram TcProgram",
    "programs.uprobe": "UprobeMultiProgram UprobeProgram UsdtProgram",
    "rings.perf_buffer": "PerfEventArray",
    "rings.poll": "events poll",
    "rings.user_ringbuf": "UserRingBuffer",
    "symbols.kernel": "kernel_symbol",
    "symbols.user": "UserSymbols user_symbol",
    "system.snapshot": "SystemLink SystemMap SystemProgram links",
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


class _ListingRoom(ModuleType):
    """The module of a room with the name of a public function: `bpfloader.maps()` lists the system's maps.

    A function of that name would hide the room, and the next import of the room the function.
    """

    def __call__(self) -> Any:
        from importlib import import_module

        return getattr(import_module(f"{__name__}.system.snapshot"), self.__name__.rpartition(".")[2])()


for _room in ("maps", "programs"):
    sys.modules[f"{__name__}.{_room}"].__class__ = _ListingRoom


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
