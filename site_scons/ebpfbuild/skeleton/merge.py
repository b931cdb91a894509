"""Puts the skeletons of several arches together: what is alike is declared once, what differs once per arch."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from .declarations import Declarations, PyClass, PyField, PyMap, PyProgram, PySection, PyType, bytes_of


@dataclass(frozen=True)
class ArchVariant:
    """One or more arches and what they declare under a name: a PyClass, a PySection, or all the maps or programs."""

    arches: tuple[str, ...]
    item: Any

    @property
    def condition(self) -> str:
        """The Python expression that is true where the module's ARCH is one of them."""
        if len(self.arches) == 1:
            return f'ARCH == "{self.arches[0]}"'
        return f"ARCH in ({', '.join(f'{arch!r}' for arch in self.arches)})".replace("'", '"')


@dataclass(frozen=True)
class MergedName:
    """A name of the module with its variants; `everywhere` where all arches have the same one.

    `present` is on which arches it is there, None for all; `merged` is what the stub prints.
    """

    variants: tuple[ArchVariant, ...]
    everywhere: bool
    present: ArchVariant | None
    merged: Any

    @property
    def item(self) -> Any:
        """The one variant's item."""
        return self.variants[0].item


@dataclass(frozen=True)
class MergedDeclarations:
    """All blocks of a module, in the order in which they are printed: a class before those that use it."""

    enums: tuple[MergedName, ...]
    classes: tuple[MergedName, ...]
    maps: MergedName
    programs: MergedName
    sections: tuple[MergedName, ...]

    @property
    def linked(self) -> tuple[PyProgram | PyMap, ...]:
        """The programs, and maps, that have links: a program of struct_ops hasn't, its map has."""
        programs = (row for row in self.programs.merged if row.kind != "StructOpsProgram")
        return (*programs, *(row for row in self.maps.merged if row.kind == "StructOpsMap"))

    @property
    def alike(self) -> bool:
        """True if no arch differs from another one."""
        return all(block.everywhere for block in (*self.enums, *self.classes, self.maps, self.programs, *self.sections))


def merged(declared: Mapping[str, Declarations]) -> MergedDeclarations:
    """Returns the blocks of a module for what each arch declares, by the arch's name."""
    names = {name: made for each in declared.values() for name, made in each.classes.items()}
    enums = sorted(name for name, made in names.items() if made.kind == "enum")
    classes = {
        name: _block({arch: each.classes.get(name) for arch, each in declared.items()}, _class) for name in names
    }
    sections = sorted({section.name for each in declared.values() for section in each.sections})
    return MergedDeclarations(
        enums=tuple(classes[name] for name in enums),
        classes=tuple(classes[name] for name in _order(classes) if name not in enums),
        maps=_block({arch: each.maps for arch, each in declared.items()}, _maps),
        programs=_block({arch: each.programs for arch, each in declared.items()}, _programs),
        sections=tuple(
            _block({arch: _named(each, name) for arch, each in declared.items()}, _section) for name in sections
        ),
    )


def _named(declared: Declarations, name: str) -> PySection | None:
    return next((section for section in declared.sections if section.name == name), None)


def _block(items: Mapping[str, Any], merge: Callable[[list[ArchVariant]], Any]) -> MergedName:
    """Returns a name's block; an arch that hasn't got it has None."""
    groups: dict[Any, list[str]] = {}
    for arch, item in items.items():
        if item is not None:
            groups.setdefault(item, []).append(arch)
    variants = tuple(ArchVariant(tuple(arches), item) for item, arches in groups.items())
    everywhere = len(variants) == 1 and len(variants[0].arches) == len(items)
    there = tuple(arch for arch, item in items.items() if item is not None)
    present = ArchVariant(there, None) if len(there) < len(items) else None
    return MergedName(variants, everywhere, present, variants[0].item if everywhere else merge(list(variants)))


def _order(classes: Mapping[str, MergedName]) -> list[str]:
    """Returns the names, sorted, but each behind those that it uses on any arch."""
    done: dict[str, None] = {}
    waiting = sorted(classes, reverse=True)
    entered: set[str] = set()
    while waiting:
        name = waiting[-1]
        fields = [field for variant in classes[name].variants for field in variant.item.fields]
        used = {field.type.class_name for field in fields} & classes.keys()
        missing = sorted(used - done.keys() - entered, reverse=True)
        if name in done or not missing or name in entered:
            done.setdefault(waiting.pop())
            continue
        entered.add(name)
        waiting += missing
    return list(done)


def _class(variants: list[ArchVariant]) -> PyClass:
    """Returns the class as the stub has it: all members of all arches."""
    first: PyClass = variants[0].item
    values = {value.name: value for variant in variants for value in variant.item.values}
    sizes = "; ".join(f"{bytes_of(variant.item.size)} on {_and(variant.arches)}" for variant in variants)
    own = {field.name for variant in variants for field in variant.item.fields}  # of an anonymous union on other arches
    fields = _fields(variants, lambda made: (*made.fields, *(row for row in made.promoted if row.name in own)))
    promoted = _fields(variants, lambda made: tuple(row for row in made.promoted if row.name not in own))
    return replace(first, sizes=sizes, values=tuple(values.values()), fields=fields, promoted=promoted)


def _section(variants: list[ArchVariant]) -> PySection:
    first: PySection = variants[0].item
    return replace(first, fields=_fields(variants, lambda section: section.fields))


def _fields(variants: list[ArchVariant], of: Callable[[Any], tuple[PyField, ...]]) -> tuple[PyField, ...]:
    """Returns all arches' fields, each with all its hints; where not all have it, the comment says which do."""
    found: dict[str, list[tuple[ArchVariant, PyField]]] = {}
    for variant in variants:
        for field in of(variant.item):
            found.setdefault(field.name, []).append((variant, field))
    return tuple(_field(rows, len(rows) == len(variants)) for rows in found.values())


def _field(rows: list[tuple[ArchVariant, PyField]], everywhere: bool) -> PyField:
    hints = dict.fromkeys(field.type.hint for _, field in rows)
    arches = [arch for variant, _ in rows for arch in variant.arches]
    comment = rows[0][1].comment + ("" if everywhere else f" ({_and(arches)} only)")
    return PyField(rows[0][1].name, PyType(" | ".join(hints), "", 0), 0, comment)


def _maps(variants: list[ArchVariant]) -> tuple[PyMap, ...]:
    """Returns the maps of all arches.

    One that differs has the class of the first arch that has it, which the others share.
    """
    found = {row.attribute: row for variant in reversed(variants) for row in variant.item}
    return tuple(found[name] for name in sorted(found))


def _programs(variants: list[ArchVariant]) -> tuple[PyProgram, ...]:
    found = {row.attribute: row for variant in variants for row in variant.item}
    return tuple(found.values())


def _and(arches: Iterable[str]) -> str:
    return ", ".join(sorted(arches))
