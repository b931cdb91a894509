"""Generates a program's skeleton: a Python module with its maps, programs, variables and types, and a stub with types.

The module holds declarations; what they do is bpfloader's. One module serves the objects of several arches: what is
alike in all of them, nearly always everything, is declared once, anything else once per arch under one name.

Also declared is what global pointers point to: `const struct event *unused;` as other generators ask for it.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from ..arch import Arch, arch_named
from ..btf.c_text import declaration
from ..btf.types import COMPOSITES, ENUMS, Kind
from ..errors import SkeletonError
from ..spec.kconfig import kconfig_section
from ..spec.object import DataSection, ObjectSpec, Variable
from .declarations import Declarations, PyClass, PyField, PyProgram, PySection
from .lines import (
    arch_line,
    class_docstring,
    codecs,
    doc,
    field_hint,
    field_line,
    hidden,
    init_hint,
    item_hint,
    link_hint,
    literal,
    map_hint,
    map_line,
    module_comment,
    program_hint,
    program_line,
    stub_imports,
    value_line,
)
from .maps import python_maps, untyped_rings
from .merge import merged
from .names import MEMBERS, VARIABLES, attribute_name, class_name, comment, unique
from .programs import program_class_name
from .types import PyTypes, tags_of

if TYPE_CHECKING:
    import jinja2

TEMPLATES = Path(__file__).parent / "templates"
TITLES = {"rodata": "constants, set before load", "data": "variables", "bss": "variables",
          "kconfig": "the kernel's configuration, known after load"}  # fmt: skip
OBJECT_NAME = re.compile(r"[A-Za-z0-9_.+-]+")


@dataclass(frozen=True)
class Skeleton:
    """The texts of a skeleton's module and stub, and notices of what in the objects is hardly meant."""

    module: str
    stub: str
    notices: tuple[str, ...] = ()


def skeleton(
    objects: Mapping[str, bytes], name: str, object_name: str, events: Mapping[str, str] | None = None
) -> Skeleton:
    """Returns the skeleton of a program's objects, each arch's bytes by its name: the same bytes, the same text.

    `name` is the program's (its CamelCase is the class), `object_name` the file that the skeleton looks for, `events`
    the C types of the records of ring and perf buffers, by map. Raises SkeletonError for what Python can't say or
    events that there aren't, ElfError and BtfError for what is no BPF object.
    """
    if not OBJECT_NAME.fullmatch(object_name):
        raise SkeletonError(f"{object_name!r} is no name for an object", fix="use letters, digits and . _ + -")
    if not objects:
        raise SkeletonError("has no object to be made of", where=name, fix="build it for an arch")
    arches = sorted((arch_named(arch) for arch in objects), key=lambda arch: arch.name)
    specs = {arch.name: ObjectSpec.from_bytes(objects[arch.name], object_name) for arch in arches}
    for arch in arches:
        _require_order(specs[arch.name], arch)
        specs[arch.name].require_whole()
    program = class_name(name)
    try:
        declared = {arch: _declared(spec, program, events or {}) for arch, spec in specs.items()}
    except RecursionError:
        what = "nests types in one another without end"
        raise SkeletonError(what, where=object_name, fix="compile it with clang") from None
    made = _print(
        declared,
        skeleton=program,
        object_name=object_name,
        digests={arch: hashlib.sha256(objects[arch]).hexdigest() for arch in declared},
        orders={spec.elf.little for spec in specs.values()},
    )
    said = (text for spec in specs.values() for text in [*spec.notices(), *untyped_rings(spec, events or {})])
    return replace(made, notices=tuple(dict.fromkeys(said)))


def render(object_data: bytes, name: str, arch: str, object_name: str) -> str:
    """Returns the text of the module alone, for the object of one arch. Raises as `skeleton` does."""
    return skeleton({arch_named(arch).name: object_data}, name, object_name).module


def _print(declared: Mapping[str, Declarations], orders: set[bool], **facts: object) -> Skeleton:
    parts = merged(declared)
    facts |= {"arches": tuple(declared), "parts": parts,
              "order": "native" if len(orders) > 1 else "little" if True in orders else "big",
              "imports": stub_imports(parts), "linked": parts.linked}  # fmt: skip
    module, stub = _templates()
    return Skeleton(module.render(facts), stub.render(facts))


@cache
def _templates() -> tuple["jinja2.Template", "jinja2.Template"]:
    """Returns the module's and the stub's: compiling them takes longer than printing a skeleton."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    environment.filters["rstrip"] = str.rstrip
    printers = (arch_line, class_docstring, codecs, doc, field_hint, field_line, hidden, init_hint, item_hint,
                link_hint, literal, map_hint, map_line, module_comment, program_hint, program_line,
                value_line)  # fmt: skip
    environment.globals |= {"titles": TITLES, **{print.__name__: print for print in printers}}
    return environment.get_template("skeleton.py.j2"), environment.get_template("skeleton.pyi.j2")


def _require_order(spec: ObjectSpec, arch: Arch) -> None:
    if spec.elf.little != (arch.target == "bpfel"):
        order = "little" if spec.elf.little else "big"
        fix = f"compile it with -target {arch.target}"
        raise SkeletonError(f"is {order}-endian, {arch.name} is not", where=spec.elf.where, fix=fix)


def _declared(spec: ObjectSpec, program: str, events: Mapping[str, str]) -> Declarations:
    """Returns what one arch's object declares."""
    data = [*spec.data, *([kconfig_section(spec.btf, spec.kconfig)] if spec.kconfig else [])]
    shown = sorted((row for row in data if any(not each.static for each in row.variables)), key=lambda row: row.name)
    own, taken = {program, *(f"{program}{part}" for part in ("Maps", "Progs", "Links"))}, set[str]()
    names = [unique(re.sub(r"\W", "_", row.name.lstrip(".")), taken) for row in shown]
    classes = [unique(f"{program}{class_name(name)}", own) for name in names]
    types = PyTypes(spec.btf, own)
    maps = python_maps(types, spec, events)
    sections = [_section(types, *row) for row in zip(shown, names, classes, strict=True)]
    return Declarations(
        _constants_without_clashes(
            {name: _class_without_clashes(made, types) for name, made in types.classes.items()}, own
        ),
        tuple(replace(row, attribute=f"{row.attribute}_") if row.attribute in types.classes else row for row in maps),
        _programs(spec),
        tuple(replace(row, fields=fields_without_clashes(row.fields, types)) for row in sections),
    )


def _programs(spec: ObjectSpec) -> tuple[PyProgram, ...]:
    """Returns the programs in the object's order, in which they are attached."""
    taken: set[str] = set()
    rows = [row for row in spec.programs if not row.static]
    return tuple(
        PyProgram(attribute_name(row.name, taken, "program", MEMBERS), row.name, kind, comment(row.section))
        for row, kind in ((row, program_class_name(row.section)) for row in rows)
    )


def _section(types: PyTypes, row: DataSection, attribute: str, name: str) -> PySection:
    """Returns a data section with its global variables: static ones are the program's own."""
    taken: set[str] = set()
    fields = tuple(_variable(types, variable, taken) for variable in row.variables if not variable.static)
    return PySection(attribute, name, row.name, row.kind, fields)


def _variable(types: PyTypes, variable: Variable, taken: set[str]) -> PyField:
    btf = types.btf
    text = comment(declaration(btf, variable.type, variable.name))
    pointer = btf.resolve(variable.type)
    if pointer.kind == Kind.PTR and btf.resolve(pointer.type).kind in (*COMPOSITES, *ENUMS):
        types.use(pointer.type, f"{variable.name}_target")
    found = btf.find(variable.name, Kind.VAR)
    used = types.use(variable.type, variable.name, tags_of(btf, found.id) if found else frozenset())
    if used.size > variable.size:
        what = f"variable {variable.name} has {used.size} bytes, in a place of {variable.size}"
        raise SkeletonError(what, where=btf.where, fix="compile it with clang")
    return PyField(attribute_name(variable.name, taken, "variable", VARIABLES), used, variable.offset, text)


def _class_without_clashes(made: PyClass, types: PyTypes) -> PyClass:
    return replace(
        made,
        fields=fields_without_clashes(made.fields, types),
        promoted=fields_without_clashes(made.promoted, types),
        definition="",
    )


def fields_without_clashes(fields: tuple[PyField, ...], types: PyTypes) -> tuple[PyField, ...]:
    """Puts an underscore after each field that is called as a class is.

    Beside it, the class would mean the field. And without the sizes of their types, which are checked by now and not
    printed: what prints alike is equal.
    """
    taken = {field.name for field in fields} | types.classes.keys()
    return tuple(
        replace(
            field,
            name=unique(field.name, taken) if field.name in types.classes else field.name,
            type=replace(field.type, size=0),
        )
        for field in fields
    )


def _constants_without_clashes(classes: dict[str, PyClass], own: set[str]) -> dict[str, PyClass]:
    """Returns the classes, the module's constants called as nothing else in it."""
    taken = own | classes.keys()
    settled = {
        name: tuple(each._replace(name=unique(each.name, taken)) for each in classes[name].constants)
        for name in sorted(classes)
    }
    return {name: replace(made, constants=settled[name]) for name, made in classes.items()}
