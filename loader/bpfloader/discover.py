"""The maps and programs of an object that has no skeleton, as libbpf finds them: keys and values are bytes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

from .ctype import CTypes
from .keyed import Array, Hash, PerCpuArray, PerCpuHash
from .kinds import program_class
from .libbpf import library
from .maps import Map
from .parts import Maps, Progs
from .perfbuf import PerfEventArray
from .ringbuf import RingBuffer
from .structops import StructOpsMap
from .userring import UserRingBuffer

if TYPE_CHECKING:
    from .object import Object

# enum bpf_map_type of linux/bpf.h.
HASHES: dict[int, Any] = {1: Hash, 9: Hash, 11: Hash, 5: PerCpuHash, 10: PerCpuHash}
ARRAYS: dict[int, Any] = {2: Array, 6: PerCpuArray}
STRUCT_OPS = 26
BUFFERS: dict[int, Any] = {4: PerfEventArray, 27: RingBuffer, 31: UserRingBuffer}


def maps_of(owner: Object) -> Maps:
    """An object's maps, the hidden ones of its data sections included (`probe.bss`)."""
    maps = Maps(owner)
    for handle in _each(owner, "map"):
        name = library().bpf_map__name(handle).decode()
        setattr(maps, name, _map(owner, handle, name))
    return maps


def programs_of(owner: Object) -> Progs:
    """An object's programs, each of the class of its section."""
    programs = Progs(owner)
    for handle in _each(owner, "program"):
        name = library().bpf_program__name(handle).decode()
        section = library().bpf_program__section_name(handle).decode()
        setattr(programs, name, program_class(section)(owner, name))
    return programs


def _each(owner: Object, what: str) -> Iterator[int]:
    handle = None
    while handle := getattr(library(), f"bpf_object__next_{what}")(owner.handle, handle):
        yield handle


def _map(owner: Object, handle: int, name: str) -> Map:
    types = CTypes("<" if sys.byteorder == "little" else ">")
    kind, value = library().bpf_map__type(handle), library().bpf_map__value_size(handle)
    if kind in HASHES:
        key = types.raw(library().bpf_map__key_size(handle))
        return cast(Map, HASHES[kind](owner, name, key, types.raw(value)))
    if kind in ARRAYS and value:
        return cast(Map, ARRAYS[kind](owner, name, types.raw(value)))
    if kind in BUFFERS:
        return cast(Map, BUFFERS[kind](owner, name, types.tail()))
    return StructOpsMap(owner, name) if kind == STRUCT_OPS else Map(owner, name)
