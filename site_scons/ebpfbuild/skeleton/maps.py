"""Chooses bpfloader's class for each map, and the Python types of its keys, values or records.

How the records of a ring or perf buffer are typed, the first of these that there is:

    BpfSkeleton(…, events={"events": "struct event"})                       named in the build's declaration
    struct { … } events SEC(".maps") __attribute__((btf_decl_tag("struct event")));
    __type(value, struct event);                                            in the map's definition
    struct event (*type)[BPF_MAP_TYPE_RINGBUF];                             instead of __uint(type, …)

The third sets a value_size with which the kernel refuses such a map: bpfloader puts it right before load. The fourth
loads with every loader, which read the array's length only. Without any, the records are bytes.
"""

from collections.abc import Mapping
from dataclasses import replace
from difflib import get_close_matches
from typing import NamedTuple

from ..btf.c_text import declaration
from ..btf.reader import Btf
from ..btf.types import COMPOSITES, ENUMS, Kind
from ..errors import SkeletonError
from ..spec.map import MapSpec
from ..spec.object import ObjectSpec, StructOpsSpec
from .declarations import PyMap, PyType
from .names import MEMBERS, attribute_name, comment
from .types import PyTypes, tags_of


class MapClass(NamedTuple):
    """A class of bpfloader's, and what its constructor takes: key, value, record (of a ring) or inner (a map)."""

    name: str
    parameters: tuple[str, ...] = ()


class TypedMap(NamedTuple):
    """A map's class, the arguments that its constructor gets, and the hints of its type parameters."""

    name: str
    arguments: tuple[str, ...]
    hints: tuple[str, ...]


class Parameter(NamedTuple):
    """A constructor's argument and its hint, for a map's key, value, records or inner map."""

    argument: str
    hint: str


# By the map's type as bpftool spells it.
MAP_CLASSES = {
    "hash": MapClass("Hash", ("key", "value")),
    "lru_hash": MapClass("Hash", ("key", "value")),
    "percpu_hash": MapClass("PerCpuHash", ("key", "value")),
    "lru_percpu_hash": MapClass("PerCpuHash", ("key", "value")),
    "lpm_trie": MapClass("LpmTrie", ("key", "value")),
    "array": MapClass("Array", ("value",)),
    "percpu_array": MapClass("PerCpuArray", ("value",)),
    "queue": MapClass("Queue", ("value",)),
    "stack": MapClass("Stack", ("value",)),
    "bloom_filter": MapClass("BloomFilter", ("value",)),
    "prog_array": MapClass("ProgArray"),
    "array_of_maps": MapClass("ArrayOfMaps", ("inner",)),
    "hash_of_maps": MapClass("HashOfMaps", ("key", "inner")),
    "stack_trace": MapClass("StackTrace"),
    "sk_storage": MapClass("SkStorage", ("value",)),
    "inode_storage": MapClass("InodeStorage", ("value",)),
    "task_storage": MapClass("TaskStorage", ("value",)),
    "cgrp_storage": MapClass("CgroupStorage", ("value",)),
    "cgroup_storage": MapClass("Hash", ("key", "value")),  # of a cgroup and a kind of program: keys as any hash's
    "percpu_cgroup_storage": MapClass("PerCpuHash", ("key", "value")),
    "cgroup_array": MapClass("CgroupArray"),
    "sockmap": MapClass("SockMap"),
    "sockhash": MapClass("SockHash", ("key",)),
    "reuseport_sockarray": MapClass("ReuseportSockArray"),
    "devmap": MapClass("DevMap", ("value",)),
    "devmap_hash": MapClass("DevMapHash", ("key", "value")),
    "cpumap": MapClass("CpuMap", ("value",)),
    "xskmap": MapClass("XskMap"),
    "arena": MapClass("Arena"),
    "perf_event_array": MapClass("PerfEventArray", ("record",)),
    "ringbuf": MapClass("RingBuffer", ("record",)),
    "user_ringbuf": MapClass("UserRingBuffer", ("record",)),
}
INNER = "_inner"  # behind the name of a map of maps: the name of those in it
INDEX_MAPS = ("devmap", "devmap_hash", "cpumap")  # 4 bytes of these without a type are an index or a count
RECORDS = ("ringbuf", "user_ringbuf", "perf_event_array")
TAGGED = {"struct": (Kind.STRUCT,), "union": (Kind.UNION,), "enum": ENUMS}


def python_maps(types: PyTypes, spec: ObjectSpec, events: Mapping[str, str]) -> tuple[PyMap, ...]:
    """Returns the maps by name.

    Raises SkeletonError for a record's type that there isn't, or an event of no ring or buffer.
    """
    rings = {row.name for row in spec.maps if row.type_name in RECORDS}
    if unknown := sorted(events.keys() - rings):
        what = f"events names {unknown[0]}, which is no ring or perf buffer of this object"
        fix = f"it has {', '.join(sorted(rings))}" if rings else "it has none"
        raise SkeletonError(what, where=types.btf.where, fix=fix)
    taken: set[str] = set()
    rows: list[MapSpec | StructOpsSpec] = [*spec.maps, *spec.struct_ops]
    return tuple(
        _python_map(types, row, attribute_name(row.name, taken, "map", MEMBERS), events)
        for row in sorted(rows, key=lambda row: row.name)
    )


def _python_map(types: PyTypes, row: MapSpec | StructOpsSpec, attribute: str, events: Mapping[str, str]) -> PyMap:
    if isinstance(row, StructOpsSpec):
        return PyMap(attribute, row.name, "StructOpsMap", comment=comment(declaration(types.btf, row.type)))
    return PyMap(attribute, row.name, *_typed_map(types, row, events), _comment(row))


def _typed_map(types: PyTypes, row: MapSpec, events: Mapping[str, str]) -> TypedMap:
    """Chooses a map's class, `Map` for a type that has none of its own. Raises SkeletonError."""
    found = MAP_CLASSES.get(row.type_name, MapClass("Map"))
    parameters = [_parameter(types, row, part, events) for part in found.parameters]
    return TypedMap(found.name, tuple(each.argument for each in parameters), tuple(each.hint for each in parameters))


def _comment(row: MapSpec) -> str:
    """Returns the map's type and size, for whoever reads the skeleton."""
    many = row.max_entries != 1
    unit = "bytes" if row.type_name in ("ringbuf", "user_ringbuf") else "entries" if many else "entry"
    return f"{row.type_name}, {row.max_entries} {unit}" if row.max_entries else row.type_name


def _parameter(types: PyTypes, row: MapSpec, part: str, events: Mapping[str, str]) -> Parameter:
    """Returns the argument, a class or else a codec, and the hint for a map's `part`. Raises SkeletonError."""
    if part == "inner":
        named = replace(row.inner, name=row.name + INNER) if row.inner else MapSpec("")
        inner = _typed_map(types, named, events)
        made = ", ".join([f"bpfloader.{inner.name}", *inner.arguments])
        return Parameter(
            f"bpfloader.inner({made})",
            f"bpfloader.{inner.name}" + (f"[{', '.join(inner.hints)}]" if inner.hints else ""),
        )
    if part == "record":
        record = record_type(types.btf, row, events)
        used = _used(types, row, "record", record) if record else PyType("bytes", "c.tail()", 0)
    else:
        number, size = (row.key_type, row.key_size) if part == "key" else (row.value_type, row.value_size)
        number_like = size == 4 and row.type_name in INDEX_MAPS
        bare = PyType("int", "c.u32", 4) if number_like else PyType("bytes", f"c.raw({size})", size)
        used = _used(types, row, part, number) if number else bare
    return Parameter(used.class_name if used.codec == f"c.of({used.class_name})" else used.codec, used.hint)


def _used(types: PyTypes, row: MapSpec, part: str, number: int) -> PyType:
    """Returns a key's, value's or record's type.

    Raises SkeletonError for a struct that is only declared, mostly a misspelt one.
    """
    kind = types.btf.resolve(number)
    if kind.kind != Kind.FWD:
        return types.use(number, f"{row.name}_{part}")
    among = sorted({each.name for each in types.btf if each.kind in COMPOSITES and each.name})
    near = get_close_matches(kind.name, among, 1)
    what = f"map {row.name}: {declaration(types.btf, kind.id)} is defined nowhere"
    raise SkeletonError(what, where=types.btf.where, fix=f"nearest: {near[0]}" if near else "define it")


def record_type(btf: Btf, row: MapSpec, events: Mapping[str, str]) -> int:
    """Returns the BTF id of a ring's or buffer's records, 0 where nothing says.

    Raises SkeletonError for a type there isn't.
    """
    variable = btf.find(row.name, Kind.VAR)
    named = [events[row.name]] if row.name in events else sorted(tags_of(btf, variable.id)) if variable else []
    for text in named:
        if found := _named_type(btf, text):
            return found
        if row.name in events or text.partition(" ")[0] in TAGGED:
            what = f"the records of {row.name} are to be {text}, which this object's BTF doesn't hold"
            instead = " instead of its value_size" if row.value_size > 0 and not row.value_type else ""
            fix = f"write __type(value, {text}); into the map's definition{instead}, or add a global variable: "
            fix += f"const {text} *unused_{row.name} __attribute__((unused));"
            raise SkeletonError(what, where=btf.where, fix=fix)
    if row.value_type and not _is_number(btf, row):
        return row.value_type
    declared = variable.type if variable else _inner_type(btf, row.name.removesuffix(INNER))
    return _element_of_type(btf, declared) if declared else 0


def untyped_rings(spec: ObjectSpec, events: Mapping[str, str]) -> list[str]:
    """Returns a notice for each ring whose records are bytes.

    A perf buffer may be there for counters, which have none.
    """
    rings = [row.name for row in spec.maps if row.type_name == "ringbuf" and not record_type(spec.btf, row, events)]
    return [
        f"{spec.elf.where}: ring {name} declares no record type, so its records are bytes; add __type(value, struct …);"
        for name in sorted(rings)
    ]


def _inner_type(btf: Btf, name: str) -> int:
    """Returns the BTF id of the struct that declares the maps in a map of maps; 0 for none."""
    outer = btf.find(name, Kind.VAR)
    values = next((row for row in btf.resolve(outer.type).members if row.name == "values"), None) if outer else None
    return btf.resolve(btf.resolve(values.type).type).type if values else 0


def _is_number(btf: Btf, row: MapSpec) -> bool:
    """Returns True if a perf buffer's values are the file descriptors that they are to the kernel, not its records."""
    return row.type_name == "perf_event_array" and btf.resolve(row.value_type).kind == Kind.INT and row.value_size == 4


def _named_type(btf: Btf, text: str) -> int:
    """Returns the id of a type that is spelled as in C: `struct event`, `event_t`, `__u64`; 0 if there is none."""
    word, _, name = text.strip().rpartition(" ")
    kinds = TAGGED.get(word, ()) if word else (Kind.TYPEDEF, Kind.INT, *COMPOSITES)
    found = btf.find(name, *kinds) if kinds else None
    return found.id if found else 0


def _element_of_type(btf: Btf, number: int) -> int:
    """Returns the elements' type of the array that `type` points to; 0 if that is the `int` of __uint."""
    member = next((member for member in btf.resolve(number).members if member.name == "type"), None)
    array = btf.resolve(btf.resolve(member.type).type) if member else None
    if not array or array.kind != Kind.ARRAY:
        return 0
    return 0 if (btf[array.type].kind, btf[array.type].name) == (Kind.INT, "int") else array.type
