"""Generates an object's skeleton: a Python module with its maps, programs, variables and types, all typed.

The module holds declarations; what they do is bpfloader's. How a ring buffer's records are typed: the member `type` of
the map's definition points to an array, of which loaders read the length only, so its element can be the record's type:

    struct {
        struct event (*type)[BPF_MAP_TYPE_RINGBUF];
        __uint(max_entries, 256 * 1024);
    } events SEC(".maps");

Tried with libbpf 1.1, 1.5, 1.7 and 1.8. (`__type(value, …)` would set a value_size, with which the kernel refuses a
ring buffer, and a member of any other name is an error in libbpf.) With `__uint(type, …)`, whose element is `int`, the
records are bytes.

Also declared is what global pointers point to: `const struct event *unused;` as other generators ask for it.
"""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from .arch import Arch, arch_named
from .btf import Btf
from .btf_text import declaration
from .btf_types import COMPOSITES, Kind
from .errors import SkeletonError
from .mapspec import MapSpec
from .objectparts import DataSection, Variable
from .objectspec import BpfObjectSpec
from .pynames import attribute_name, class_name, comment
from .pytypes import PyField, PyTypes

TEMPLATES = Path(__file__).parent / "templates"
FILE_NAME = re.compile(r"[A-Za-z0-9_.+-]+")
KEYED = {
    "hash": "Hash",
    "lru_hash": "Hash",
    "lpm_trie": "Hash",
    "percpu_hash": "PerCpuHash",
    "lru_percpu_hash": "PerCpuHash",
}
INDEXED = {"array": "Array", "percpu_array": "PerCpuArray"}


@dataclass(frozen=True)
class PyMap:
    """A map to print: attribute, name in C, bpfloader's class, and what that is told of keys, values or records."""

    attribute: str
    name: str
    kind: str
    arguments: tuple[str, ...]


@dataclass(frozen=True)
class PyProgram:
    """A program to print."""

    attribute: str
    name: str
    section: str


@dataclass(frozen=True)
class PySection:
    """A data section to print: attribute of the skeleton, class, name in ELF, kind, variables."""

    attribute: str
    name: str
    c_name: str
    kind: str
    fields: tuple[PyField, ...]


def render(object_data: bytes, name: str, arch: str, object_name: str) -> str:
    """The text of the skeleton module for an object's bytes: the same bytes, the same text.

    `name` is the program's (its CamelCase is the class), `arch` an arch's name, `object_name` the file that the
    skeleton looks for beside itself. Raises SkeletonError for names that collide, ElfError and BtfError for what is no
    BPF object.
    """
    import jinja2

    if not FILE_NAME.fullmatch(object_name):
        raise SkeletonError(f"{object_name!r} is no name for an object", fix="use letters, digits and . _ + -")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    spec = BpfObjectSpec.from_bytes(object_data, object_name)
    try:
        parts = _parts(spec, class_name(name), arch_named(arch))
    except RecursionError:
        raise SkeletonError(
            "nests types in one another without end", where=object_name, fix="compile it with clang"
        ) from None
    digest = hashlib.sha256(object_data).hexdigest()
    return environment.get_template("skeleton.py.j2").render(parts, object_name=object_name, sha256=digest)


def _parts(spec: BpfObjectSpec, skeleton: str, arch: Arch) -> dict[str, object]:
    """What the template prints."""
    if spec.elf.little != (arch.target == "bpfel"):
        order = "little" if spec.elf.little else "big"
        fix = f"compile it with -target {arch.target}"
        raise SkeletonError(f"is {order}-endian, {arch.name} is not", where=spec.elf.where, fix=fix)
    types = PyTypes(spec.btf)
    maps, programs = _maps(types, spec), _programs(spec)
    sections = tuple(filter(None, (_section(types, row, skeleton) for row in spec.data)))
    _refuse_collisions(
        types, {skeleton, f"{skeleton}Maps", f"{skeleton}Progs", *(section.name for section in sections)}
    )
    return {"skeleton": skeleton, "arch": arch, "little": spec.elf.little, "classes": tuple(types.classes.values()),
            "maps": maps, "programs": programs, "sections": sections}  # fmt: skip


def _maps(types: PyTypes, spec: BpfObjectSpec) -> tuple[PyMap, ...]:
    taken: set[str] = set()
    return tuple(PyMap(attribute_name(row.name, taken, "map"), row.name, *_typed(types, row)) for row in spec.maps)


def _typed(types: PyTypes, row: MapSpec) -> tuple[str, tuple[str, ...]]:
    """The loader's class for a map, and its arguments: classes where it takes them, else codecs."""
    kind = row.type_name
    value = _argument(types, row.value_type, row.value_size, f"{row.name}_value")
    if kind in KEYED:
        return KEYED[kind], (_argument(types, row.key_type, row.key_size, f"{row.name}_key"), value)
    if kind in INDEXED:
        return INDEXED[kind], (value,)
    if kind == "ringbuf":
        record = _record(types.btf, row.name)
        return "RingBuffer", (_argument(types, record, 0, f"{row.name}_record") if record else "c.tail()",)
    return "Map", ()


def _argument(types: PyTypes, number: int, size: int, place: str) -> str:
    """A struct's or union's class, another type's codec, bytes of that size for a type that BTF doesn't know."""
    if not number:
        return f"c.raw({size})"
    used = types.use(number, place)
    return used.hint if types.btf.resolve(number).kind in COMPOSITES else used.codec


def _record(btf: Btf, name: str) -> int:
    """The BTF id of a ring buffer's records, 0 where its declaration doesn't say (see the module's docstring)."""
    variable = btf.find(name, Kind.VAR)
    member = next(member for member in btf.resolve(variable.type).members if member.name == "type")
    element = btf.resolve(btf.resolve(member.type).type).type
    return 0 if (btf[element].kind, btf[element].name) == (Kind.INT, "int") else element


def _programs(spec: BpfObjectSpec) -> tuple[PyProgram, ...]:
    taken: set[str] = set()
    rows = [row for row in spec.programs if not row.static]
    return tuple(PyProgram(attribute_name(row.name, taken, "program"), row.name, comment(row.section)) for row in rows)


def _section(types: PyTypes, row: DataSection, skeleton: str) -> PySection | None:
    """A data section with its global variables; None if it has none: static ones are the program's own."""
    taken: set[str] = set()
    fields = tuple(_variable(types, variable, taken) for variable in row.variables if not variable.static)
    attribute = re.sub(r"\W", "_", row.name.lstrip("."))
    return PySection(attribute, f"{skeleton}{class_name(attribute)}", row.name, row.kind, fields) if fields else None


def _variable(types: PyTypes, variable: Variable, taken: set[str]) -> PyField:
    btf = types.btf
    text = comment(declaration(btf, variable.type, variable.name))
    if (pointer := btf.resolve(variable.type)).kind == Kind.PTR and btf.resolve(pointer.type).kind in COMPOSITES:
        types.use(pointer.type, f"{variable.name}_target")
    used = types.use(variable.type, variable.name)
    return PyField(attribute_name(variable.name, taken, "variable"), used, variable.offset, text)


def _refuse_collisions(types: PyTypes, own: set[str]) -> None:
    """Raises SkeletonError for a type called as the skeleton's own classes are, or a member called as a class is."""
    where = types.btf.where
    for made in types.classes.values():
        if made.name in own or made.name == "c":
            raise SkeletonError(
                f"{made.c_name} and the program would both be the class {made.name}", where=where, fix="rename one"
            )
        for field in made.fields:
            if field.name in types.classes:
                raise SkeletonError(
                    f"{made.c_name} has a member called as the class {field.name}", where=where, fix="rename one"
                )
