"""Which class of bpfloader's a map is in Python, and what that is told of keys, values or records.

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

from ..btf.reader import Btf
from ..btf.c_text import declaration
from ..btf.types import COMPOSITES, ENUMS, Kind
from ..errors import SkeletonError
from ..spec.map import MapSpec
from ..spec.parts import StructOpsSpec
from ..spec.object import BpfObjectSpec
from .declared import PyMap, PyType
from .names import MEMBERS, attribute_name, comment
from .types import PyTypes, tags_of

# bpfloader's class, and what it is told, by the map's type as bpftool spells it.
CLASSES = {
    "hash": ("Hash", "key value"),
    "lru_hash": ("Hash", "key value"),
    "percpu_hash": ("PerCpuHash", "key value"),
    "lru_percpu_hash": ("PerCpuHash", "key value"),
    "lpm_trie": ("LpmTrie", "key value"),
    "array": ("Array", "value"),
    "percpu_array": ("PerCpuArray", "value"),
    "queue": ("Queue", "value"),
    "stack": ("Stack", "value"),
    "bloom_filter": ("BloomFilter", "value"),
    "prog_array": ("ProgArray", ""),
    "array_of_maps": ("ArrayOfMaps", "inner"),
    "hash_of_maps": ("HashOfMaps", "key inner"),
    "stack_trace": ("StackTrace", ""),
    "sk_storage": ("SkStorage", "value"),
    "inode_storage": ("InodeStorage", "value"),
    "task_storage": ("TaskStorage", "value"),
    "cgrp_storage": ("CgroupStorage", "value"),
    "cgroup_storage": ("Hash", "key value"),  # of a cgroup and a kind of program: keys as any hash's
    "percpu_cgroup_storage": ("PerCpuHash", "key value"),
    "cgroup_array": ("CgroupArray", ""),
    "sockmap": ("SockMap", ""),
    "sockhash": ("SockHash", "key"),
    "reuseport_sockarray": ("ReuseportSockArray", ""),
    "devmap": ("DevMap", "value"),
    "devmap_hash": ("DevMapHash", "key value"),
    "cpumap": ("CpuMap", "value"),
    "xskmap": ("XskMap", ""),
    "arena": ("Arena", ""),
    "perf_event_array": ("PerfEventArray", "record"),
    "ringbuf": ("RingBuffer", "record"),
    "user_ringbuf": ("UserRingBuffer", "record"),
}
INNER = "_inner"  # behind the name of a map of maps: the name of those in it
NUMBERS = ("devmap", "devmap_hash", "cpumap")  # 4 bytes of these without a type are an index or a count
RECORDS = ("ringbuf", "user_ringbuf", "perf_event_array")
TAGGED = {"struct": (Kind.STRUCT,), "union": (Kind.UNION,), "enum": ENUMS}


def python_maps(types: PyTypes, spec: BpfObjectSpec, events: Mapping[str, str]) -> tuple[PyMap, ...]:
    """The maps by name. Raises SkeletonError for a record's type that there isn't, or an event of no ring or buffer."""
    rings = {row.name for row in spec.maps if row.type_name in RECORDS}
    if unknown := sorted(events.keys() - rings):
        what = f"events names {unknown[0]}, which is no ring or perf buffer of this object"
        fix = f"it has {', '.join(sorted(rings))}" if rings else "it has none"
        raise SkeletonError(what, where=types.btf.where, fix=fix)
    taken: set[str] = set()
    return tuple(
        _python_map(types, row, attribute_name(row.name, taken, "map", MEMBERS), events)
        for row in sorted([*spec.maps, *spec.struct_ops], key=lambda row: row.name)
    )


def _python_map(types: PyTypes, row: MapSpec | StructOpsSpec, attribute: str, events: Mapping[str, str]) -> PyMap:
    if isinstance(row, StructOpsSpec):
        return PyMap(attribute, row.name, "StructOpsMap", comment=comment(declaration(types.btf, row.type)))
    kind, arguments, hints = _told(types, row, events)
    return PyMap(attribute, row.name, kind, arguments, hints, _comment(row))


def _told(types: PyTypes, row: MapSpec, events: Mapping[str, str]) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    """A map's class, its arguments, and the hints of its parameters."""
    kind, takes = CLASSES.get(row.type_name, ("Map", ""))
    told = [_part(types, row, part, events) for part in takes.split()]
    return kind, tuple(argument for argument, _ in told), tuple(hint for _, hint in told)


def _comment(row: MapSpec) -> str:
    """The map's type and size, for whoever reads the skeleton."""
    many = row.max_entries != 1
    unit = "bytes" if row.type_name in ("ringbuf", "user_ringbuf") else "entries" if many else "entry"
    return f"{row.type_name}, {row.max_entries} {unit}" if row.max_entries else row.type_name


def _part(types: PyTypes, row: MapSpec, part: str, events: Mapping[str, str]) -> tuple[str, str]:
    """The argument and the hint for a map's key, value, records or inner maps: a class, or else a codec."""
    if part == "inner":
        named = replace(row.inner, name=row.name + INNER) if row.inner else MapSpec("")
        kind, arguments, hints = _told(types, named, events)
        made = ", ".join([f"bpfloader.{kind}", *arguments])
        return f"bpfloader.inner({made})", f"bpfloader.{kind}" + (f"[{', '.join(hints)}]" if hints else "")
    if part == "record":
        record = record_type(types.btf, row, events)
        used = _used(types, row, "record", record) if record else PyType("bytes", "c.tail()", 0)
    else:
        number, size = (row.key_type, row.key_size) if part == "key" else (row.value_type, row.value_size)
        number_like = size == 4 and row.type_name in NUMBERS
        bare = PyType("int", "c.u32", 4) if number_like else PyType("bytes", f"c.raw({size})", size)
        used = _used(types, row, part, number) if number else bare
    return (used.class_name if used.codec == f"c.of({used.class_name})" else used.codec), used.hint


def _used(types: PyTypes, row: MapSpec, part: str, number: int) -> PyType:
    """A key's, value's or record's type. Raises SkeletonError for a struct that is only declared, mostly a misspelt one."""
    kind = types.btf.resolve(number)
    if kind.kind != Kind.FWD:
        return types.use(number, f"{row.name}_{part}")
    among = sorted({each.name for each in types.btf if each.kind in COMPOSITES and each.name})
    near = get_close_matches(kind.name, among, 1)
    what = f"map {row.name}: {declaration(types.btf, kind.id)} is defined nowhere"
    raise SkeletonError(what, where=types.btf.where, fix=f"nearest: {near[0]}" if near else "define it")


def record_type(btf: Btf, row: MapSpec, events: Mapping[str, str]) -> int:
    """The BTF id of a ring's or buffer's records, 0 where nothing says. Raises SkeletonError for a type there isn't."""
    variable = btf.find(row.name, Kind.VAR)
    named = [events[row.name]] if row.name in events else sorted(tags_of(btf, variable.id)) if variable else []
    for text in named:
        if found := _named_type(btf, text):
            return found
        if row.name in events or text.partition(" ")[0] in TAGGED:
            what = f"the records of {row.name} are to be {text}, which this object's BTF doesn't hold"
            instead = " instead of its value_size" * (row.value_size > 0 and not row.value_type)
            fix = f"write __type(value, {text}); into the map's definition{instead}, or add a global variable: "
            fix += f"const {text} *unused_{row.name} __attribute__((unused));"
            raise SkeletonError(what, where=btf.where, fix=fix)
    if row.value_type and not _is_number(btf, row):
        return row.value_type
    declared = variable.type if variable else _inner_type(btf, row.name.removesuffix(INNER))
    return _element_of_type(btf, declared) if declared else 0


def untyped_rings(spec: BpfObjectSpec, events: Mapping[str, str]) -> list[str]:
    """What to say of rings that leave their records bytes. A perf buffer may be there for counters, which have none."""
    rings = [row.name for row in spec.maps if row.type_name == "ringbuf" and not record_type(spec.btf, row, events)]
    return [
        f"{spec.elf.where}: ring {name} declares no record type, so its records are bytes; add __type(value, struct …);"
        for name in sorted(rings)
    ]


def _inner_type(btf: Btf, name: str) -> int:
    """The BTF id of the struct that declares the maps in a map of maps; 0 for none."""
    outer = btf.find(name, Kind.VAR)
    values = next((row for row in btf.resolve(outer.type).members if row.name == "values"), None) if outer else None
    return btf.resolve(btf.resolve(values.type).type).type if values else 0


def _is_number(btf: Btf, row: MapSpec) -> bool:
    """Whether a perf buffer's values are the file descriptors that they are to the kernel, not its records."""
    return row.type_name == "perf_event_array" and btf.resolve(row.value_type).kind == Kind.INT and row.value_size == 4


def _named_type(btf: Btf, text: str) -> int:
    """The id of a type that is spelled as in C: `struct event`, `event_t`, `__u64`; 0 if there is none."""
    word, _, name = text.strip().rpartition(" ")
    kinds = TAGGED.get(word, ()) if word else (Kind.TYPEDEF, Kind.INT, *COMPOSITES)
    found = btf.find(name, *kinds) if kinds else None
    return found.id if found else 0


def _element_of_type(btf: Btf, number: int) -> int:
    """What `type` points to an array of, if that is the records' type and not the `int` of __uint."""
    member = next((member for member in btf.resolve(number).members if member.name == "type"), None)
    array = btf.resolve(btf.resolve(member.type).type) if member else None
    if not array or array.kind != Kind.ARRAY:
        return 0
    return 0 if (btf[array.type].kind, btf[array.type].name) == (Kind.INT, "int") else array.type
