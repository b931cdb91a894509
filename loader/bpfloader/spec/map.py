"""Reads BTF-defined maps: variables in the section `.maps`, which libbpf makes maps.

The fields and their encoding are libbpf's `parse_btf_map_def` (src/libbpf.c) and the macros of bpf_helpers.h: `__uint`
is a pointer to an array of that length, `__ulong` an enum of one value, `__type` a pointer to the type.
"""

from __future__ import annotations

from typing import NamedTuple

from ..btf.c_text import declaration
from ..btf.reader import ARRAY, ENUMS, FUNC_PROTO, PTR, STRUCT, Btf
from ..kernel.map_type import MAP_FLAGS
from ..kernel.versions import map_types

NUMBER_FIELDS = "type", "key_size", "value_size", "max_entries", "map_flags", "numa_node", "pinning", "map_extra"
PINNINGS = {0: "", 1: "by name"}  # enum libbpf_pin_type


class MapSpec(NamedTuple):
    """A map's declaration: sizes in bytes, types in C ("" without one), flags by name.

    A `max_entries` of 0 is set at load: for a perf event array to the number of CPUs, for others by the caller.
    """

    name: str
    type: str
    key_size: int
    value_size: int
    key: str
    value: str
    max_entries: int
    flags: tuple[str, ...]
    pinning: str
    inner: MapSpec | None = None


FIELDS = "declare it as libbpf's bpf_helpers.h has it: __uint(type, …), __type(key, …), __array(values, …)"


def map_type_name(number: int) -> str:
    """Returns the name of a map type such as `ringbuf`; `type 99` for an unknown one."""
    return next((kind.name for kind in map_types() if kind.number == number), f"type {number}")


def flag_names(flags: int) -> tuple[str, ...]:
    """Returns the names of a map's flags without BPF_F_, and unknown ones as a number."""
    named = tuple(name for bit, name in enumerate(MAP_FLAGS) if flags >> bit & 1)
    return named + ((hex(flags >> len(MAP_FLAGS) << len(MAP_FLAGS)),) if flags >> len(MAP_FLAGS) else ())


def map_spec(btf: Btf, number: int, name: str, nested: bool = False) -> MapSpec:
    """Reads the map that a type declares. Raises ObjectError for a declaration that libbpf refuses, too."""
    kind = btf.resolve(number)
    if kind.kind != STRUCT:
        btf.fail(f"has a map {name} that is no struct")
    numbers: dict[str, int] = dict.fromkeys(NUMBER_FIELDS, 0)
    types: dict[str, str] = {"key": "", "value": ""}
    inner = None
    for member in btf.members(kind):
        if member.name in NUMBER_FIELDS:
            numbers[member.name] = _number_field(btf, member.type, name)
        elif member.name in types:
            target = _pointee(btf, member.type, name)
            types[member.name], numbers[f"{member.name}_size"] = declaration(btf, target), btf.size(target)
        elif member.name == "values" and not nested:
            numbers["value_size"], inner = 4, _inner(btf, member.type, name)  # maps and programs as descriptors
        else:
            btf.fail(f"has a map {name} with a field {member.name!r} that libbpf doesn't know", FIELDS)
    pinning = PINNINGS.get(numbers["pinning"], f"way {numbers['pinning']}")
    return MapSpec(
        name, map_type_name(numbers["type"]), numbers["key_size"], numbers["value_size"], types["key"], types["value"],
        numbers["max_entries"], flag_names(numbers["map_flags"]), pinning, inner,
    )  # fmt: skip


def _number_field(btf: Btf, number: int, name: str) -> int:
    kind = btf.resolve(number)
    if kind.kind in ENUMS and kind.entries == 1:
        return btf.values(kind)[0][1]
    array = btf.resolve(kind.word) if kind.kind == PTR else kind
    if array.kind != ARRAY:
        btf.fail(f"has a map {name} with a number that is not written with __uint or __ulong", FIELDS)
    return btf.length(array)


def _pointee(btf: Btf, number: int, name: str) -> int:
    pointer = btf.resolve(number)
    if pointer.kind != PTR:
        btf.fail(f"has a map {name} with a type that is not written with __type or __array", FIELDS)
    return pointer.word


def _inner(btf: Btf, number: int, name: str) -> MapSpec | None:
    """Reads the inner map that `values` declares; returns None if it declares programs."""
    array = btf.resolve(number)
    if array.kind != ARRAY:
        btf.fail(f"has a map {name} whose values are no array")
    target = btf.resolve(_pointee(btf, btf.element(array), name))
    return None if target.kind == FUNC_PROTO else map_spec(btf, target.id, f"{name}.inner", nested=True)
