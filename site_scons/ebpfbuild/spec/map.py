"""Reads BTF-defined maps: a variable in the section `.maps` declares each.

The fields and their encoding are libbpf's `parse_btf_map_def` (src/libbpf.c) and the macros of bpf_helpers.h: `__uint`
is a pointer to an array of that length, `__type` a pointer to the type, `__array` a flexible array of pointers.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, NoReturn

from ..btf.reader import Btf
from ..btf.types import ENUMS, Kind, Type

# BPF_MAP_TYPE_* of include/uapi/linux/bpf.h in order, spelled as bpftool does.
MAP_TYPES = """unspec hash array prog_array perf_event_array percpu_hash percpu_array stack_trace cgroup_array lru_hash
lru_percpu_hash lpm_trie array_of_maps hash_of_maps devmap sockmap cpumap xskmap sockhash cgroup_storage
reuseport_sockarray percpu_cgroup_storage queue stack sk_storage devmap_hash struct_ops ringbuf inode_storage
task_storage bloom_filter user_ringbuf cgrp_storage arena insn_array rhash""".split()

NUMBER_FIELDS = {
    "type": "type",
    "key_size": "key_size",
    "value_size": "value_size",
    "max_entries": "max_entries",
    "map_flags": "flags",
    "numa_node": "numa_node",
    "pinning": "pinning",
    "map_extra": "map_extra",
}


class Slot(NamedTuple):
    """An initial entry of a map of maps or programs: its number and the map's or program's name."""

    number: int
    name: str


@dataclass(frozen=True)
class MapSpec:
    """A map as its declaration states it. Sizes are in bytes; `key_type` and `value_type` are BTF ids, 0 for none.

    `slots` are the initial entries of a map of maps or programs; `inner` declares the maps in a map of maps. A
    max_entries of 0 is filled in by libbpf (perf_event_array) or by the loader.
    """

    name: str
    type: int = 0
    key_type: int = 0
    value_type: int = 0
    key_size: int = 0
    value_size: int = 0
    max_entries: int = 0
    flags: int = 0
    pinning: int = 0
    numa_node: int = 0
    map_extra: int = 0
    inner: "MapSpec | None" = None
    slots: tuple[Slot, ...] = ()

    @property
    def type_name(self) -> str:
        """The type as bpftool spells it, such as `lru_hash`; `type 99` for one newer than the table."""
        return MAP_TYPES[self.type] if self.type < len(MAP_TYPES) else f"type {self.type}"


def map_spec(btf: Btf, number: int, name: str, slots: tuple[Slot, ...] = ()) -> MapSpec:
    """Returns the map that a variable of BTF type `number` declares.

    Raises BtfError for a field that libbpf doesn't know.
    """
    return _spec(btf, number, name, slots, nested=False)


def values_offset(btf: Btf, number: int) -> int | None:
    """Returns the place of the `values` array in a map's declaration, in bytes; None for a map without one."""
    return next((member.offset for member in btf.resolve(number).members if member.name == "values"), None)


def _spec(btf: Btf, number: int, name: str, slots: tuple[Slot, ...], nested: bool) -> MapSpec:
    def fail(what: str) -> NoReturn:
        btf.fail(f"has map {name} {what}")

    kind = btf.resolve(number)
    if kind.kind != Kind.STRUCT:
        fail(f"that is {kind.kind.name}, not a struct")
    fields: dict[str, Any] = {}
    for member in kind.members:
        if member.name in NUMBER_FIELDS:
            fields[NUMBER_FIELDS[member.name]] = _number(btf, member.type, fail)
        elif member.name in ("key", "value"):
            _typed(btf, fields, member.name, member.type, fail)
        elif member.name == "values" and not nested:
            fields["value_size"] = 4  # libbpf: maps of maps and of programs hold 32-bit file descriptors
            fields["inner"] = _inner(btf, member.type, name, fail)
        else:
            fail(f"with a field {member.name!r} that libbpf doesn't know here")
    return MapSpec(name, slots=slots, **fields)


def _number(btf: Btf, number: int, fail: Callable[[str], NoReturn]) -> int:
    """Returns the value of a `__uint` or `__ulong` field.

    That is a pointer to an array of that length, or an enum of that one value.
    """
    kind = btf.resolve(number)
    if kind.kind in ENUMS and kind.count == 1:
        return kind.values[0].value
    array = btf.resolve(kind.type) if kind.kind == Kind.PTR else kind
    if array.kind != Kind.ARRAY:
        fail("with a number that is not written with __uint or __ulong")
    return array.length


def _pointee(btf: Btf, number: int, fail: Callable[[str], NoReturn]) -> int:
    pointer = btf.resolve(number)
    if pointer.kind != Kind.PTR:
        fail("with a type that is not written with __type or __array")
    return pointer.type


def _typed(btf: Btf, fields: dict[str, Any], what: str, number: int, fail: Callable[[str], NoReturn]) -> None:
    target = _pointee(btf, number, fail)
    size = btf.size_of(target)
    if fields.get(f"{what}_size", size) != size:
        fail(f"whose {what}_size {fields[f'{what}_size']} is not its {what}'s {size} bytes")
    fields[f"{what}_type"], fields[f"{what}_size"] = target, size


def _inner(btf: Btf, number: int, name: str, fail: Callable[[str], NoReturn]) -> MapSpec | None:
    """Returns the inner map that `values` points to; None where it points to programs."""
    array: Type = btf.resolve(number)
    if array.kind != Kind.ARRAY:
        fail("whose values are no array")
    target = btf.resolve(_pointee(btf, array.type, fail))
    return None if target.kind == Kind.FUNC_PROTO else _spec(btf, target.id, f"{name}.inner", (), nested=True)
