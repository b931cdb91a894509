"""Finds the maps and programs of an object without a skeleton through libbpf; keys and values are bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from ..codec.base import NATIVE
from ..codec.c_types import CTypes
from ..kernel.map_type import MapType
from ..libbpf.library import library
from ..maps.arena import Arena
from ..maps.array import Array
from ..maps.base import Map
from ..maps.hash import Hash
from ..maps.local_storage import CgroupStorage, InodeStorage, SkStorage, TaskStorage
from ..maps.lpm_trie import LpmTrie
from ..maps.map_in_map import ArrayOfMaps, HashOfMaps, ProgArray, inner
from ..maps.percpu import PerCpuArray, PerCpuHash
from ..maps.queue import BloomFilter, Queue, Stack
from ..maps.redirect import CgroupArray, CpuMap, DevMap, DevMapHash, ReuseportSockArray, SockHash, SockMap, XskMap
from ..maps.stack_trace import StackTrace
from ..programs.sections import program_class
from ..programs.struct_ops import StructOpsMap
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


def maps_of(owner: Owner) -> Maps:
    """Returns an object's maps, those of its data sections included (`probe.bss`)."""
    maps = Maps(owner)
    for handle in _each(owner, "map"):
        name = library().bpf_map__name(handle).decode()
        setattr(maps, name, _maker(handle)(owner, name))
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
    types = CTypes(NATIVE)
    kind, value = library().bpf_map__type(handle), types.raw(library().bpf_map__value_size(handle))
    key = types.raw(library().bpf_map__key_size(handle))
    if kind in KEY_VALUE_CLASSES:
        return inner(KEY_VALUE_CLASSES[kind], key, value)
    if kind in VALUE_CLASSES and value.size:
        return inner(VALUE_CLASSES[kind], value)
    if kind in BUFFER_CLASSES:
        return inner(BUFFER_CLASSES[kind], types.tail())
    if kind in (MapType.ARRAY_OF_MAPS, MapType.HASH_OF_MAPS):
        template = library().bpf_map__inner_map(handle)
        make = _maker(template) if template else inner(Map)
        return inner(ArrayOfMaps, make) if kind == MapType.ARRAY_OF_MAPS else inner(HashOfMaps, key, make)
    return inner(SockHash, key) if kind == MapType.SOCKHASH else inner(UNTYPED_CLASSES.get(kind, Map))
