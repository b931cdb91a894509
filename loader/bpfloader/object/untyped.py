"""Finds the maps and programs of an object without a skeleton, whose keys and values are bytes.

Has the class of each type of map.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from ..codec.base import NATIVE
from ..codec.c_types import CTypes
from ..errors import LayoutError
from ..kernel.map_type import MapType
from ..libbpf.library import library
from ..map.arena import Arena
from ..map.array import Array
from ..map.base import Map
from ..map.hash import Hash
from ..map.local_storage import CgroupStorage, InodeStorage, SkStorage, TaskStorage
from ..map.lpm_trie import LpmTrie
from ..map.map_in_map import ArrayOfMaps, HashOfMaps, ProgArray, inner
from ..map.percpu import PerCpuArray, PerCpuHash
from ..map.queue import BloomFilter, Queue, Stack
from ..map.redirect import CgroupArray, CpuMap, DevMap, DevMapHash, ReuseportSockArray, SockHash, SockMap, XskMap
from ..map.stack_trace import StackTrace
from ..program.sections import program_class
from ..program.struct_ops import StructOpsMap
from ..rings.perf_buffer import PerfEventArray
from ..rings.ringbuf import RingBuffer
from ..rings.user_ringbuf import UserRingBuffer
from .collections import Maps, Progs

if TYPE_CHECKING:
    from ..owner import Owner

# The class of each type of map, by the types that it takes besides its owner and name: key and value, value, none.
KEY_VALUE_CLASSES: dict[int, Any] = {
    MapType.HASH: Hash, MapType.LRU_HASH: Hash, MapType.CGROUP_STORAGE: Hash, MapType.PERCPU_HASH: PerCpuHash,
    MapType.LRU_PERCPU_HASH: PerCpuHash, MapType.PERCPU_CGROUP_STORAGE: PerCpuHash, MapType.LPM_TRIE: LpmTrie,
    MapType.DEVMAP_HASH: DevMapHash,
}  # fmt: skip
VALUE_CLASSES: dict[int, Any] = {
    MapType.ARRAY: Array, MapType.PERCPU_ARRAY: PerCpuArray, MapType.QUEUE: Queue, MapType.STACK: Stack,
    MapType.BLOOM_FILTER: BloomFilter, MapType.SK_STORAGE: SkStorage, MapType.INODE_STORAGE: InodeStorage,
    MapType.TASK_STORAGE: TaskStorage, MapType.CGRP_STORAGE: CgroupStorage, MapType.DEVMAP: DevMap,
    MapType.CPUMAP: CpuMap,
}  # fmt: skip
UNTYPED_CLASSES: dict[int, Any] = {
    MapType.PROG_ARRAY: ProgArray, MapType.STACK_TRACE: StackTrace, MapType.CGROUP_ARRAY: CgroupArray,
    MapType.SOCKMAP: SockMap, MapType.XSKMAP: XskMap, MapType.REUSEPORT_SOCKARRAY: ReuseportSockArray,
    MapType.STRUCT_OPS: StructOpsMap, MapType.ARENA: Arena,
}  # fmt: skip
BUFFER_CLASSES: dict[int, Any] = {
    MapType.PERF_EVENT_ARRAY: PerfEventArray, MapType.RINGBUF: RingBuffer, MapType.USER_RINGBUF: UserRingBuffer,
}  # fmt: skip


INDEX_MAPS = (MapType.DEVMAP, MapType.DEVMAP_HASH, MapType.CPUMAP)  # 4 bytes of these are an index or a count


class MapClass(NamedTuple):
    """A class of maps and the types that it takes, in order: "key", "value", "record" or "inner"."""

    kind: Any
    parameters: tuple[str, ...] = ()


def map_class(kind: int, value_size: int) -> MapClass:
    """Returns the class of a type of map; `Map` for one that bpfloader doesn't know, and for one without values."""
    if kind in KEY_VALUE_CLASSES:
        return MapClass(KEY_VALUE_CLASSES[kind], ("key", "value"))
    if kind in VALUE_CLASSES and value_size:
        return MapClass(VALUE_CLASSES[kind], ("value",))
    if kind in BUFFER_CLASSES:
        return MapClass(BUFFER_CLASSES[kind], ("record",))
    others = {
        MapType.ARRAY_OF_MAPS: MapClass(ArrayOfMaps, ("inner",)),
        MapType.HASH_OF_MAPS: MapClass(HashOfMaps, ("key", "inner")),
        MapType.SOCKHASH: MapClass(SockHash, ("key",)),
    }
    return others.get(kind) or MapClass(UNTYPED_CLASSES.get(kind, Map))  # type: ignore[call-overload]


def maps_of(owner: Owner) -> Maps:
    """Returns an object's maps, those of its data sections included (`probe.bss`)."""
    maps = Maps(owner)
    for handle in _each(owner, "map"):
        name = owner.map_name(handle)
        try:
            setattr(maps, name, _maker(handle)(owner, name))
        except LayoutError as error:
            from ..diagnose.map_rules import size_rule

            kind = MapType(library().bpf_map__type(handle)).name.lower()
            raise LayoutError(error.what, fix=size_rule(kind)) from None
    return maps


def programs_of(owner: Owner) -> Progs:
    """Returns an object's programs, each of its section's class."""
    programs = Progs(owner)
    for handle in _each(owner, "program"):
        name = library().bpf_program__name(handle).decode()
        section = library().bpf_program__section_name(handle).decode()
        setattr(programs, name, program_class(section)(owner, name))
    return programs


def _each(owner: Owner, what: str) -> Iterator[int]:
    handle = None
    while handle := getattr(library(), f"bpf_object__next_{what}")(owner.handle, handle):
        yield handle


def _maker(handle: int) -> Callable[[Any, str], Map]:
    """Returns the function that makes the map of a struct bpf_map * from an owner and a name."""
    types, size = CTypes(NATIVE), library().bpf_map__value_size(handle)
    found = map_class(library().bpf_map__type(handle), size)
    template = library().bpf_map__inner_map(handle) if "inner" in found.parameters else 0
    by_parameter: dict[str, Callable[[], Any]] = {
        "key": lambda: types.raw(library().bpf_map__key_size(handle)),
        "value": lambda: types.raw(size),
        "record": types.tail,
        "inner": lambda: _maker(template) if template else inner(Map),
    }
    return inner(found.kind, *(by_parameter[each]() for each in found.parameters))
