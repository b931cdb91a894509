"""Says where two BPF objects differ: the section with its symbol, or the type of BTF."""

from collections import Counter

from ..btf.c_text import definition
from ..btf.reader import Btf
from ..btf.types import COMPOSITES, Kind
from ..elf.reader import Elf, Section
from ..errors import BtfError


def object_differences(one: bytes, two: bytes) -> list[str]:
    """Returns a line for each section that differs, and those of its types for BTF. Raises ElfError."""
    first, second = Elf.parse(one), Elf.parse(two)
    by_name = [{section.name: section for section in each.sections} for each in (first, second)]
    lines = []
    for name in dict.fromkeys([*by_name[0], *by_name[1]]):
        pair = [sections.get(name) for sections in by_name]
        if pair[0] is None or pair[1] is None:
            lines.append(f"section {name}: only in the {'first' if pair[0] else 'second'}")
        elif pair[0].data != pair[1].data:
            lines += _types(pair[0].data, pair[1].data) if name == ".BTF" else [_section(first, pair[0], pair[1])]
    if not lines and [each.name for each in first.sections] != [each.name for each in second.sections]:
        lines.append("the order of the sections")
    return lines


def _section(elf: Elf, one: Section, two: Section) -> str:
    """Returns the line of a section: the first byte that differs, and in which symbol it lies."""
    pairs = enumerate(zip(one.data, two.data))
    at = next((index for index, pair in pairs if pair[0] != pair[1]), min(len(one.data), len(two.data)))
    around = [each for each in elf.symbols_in(one) if each.name and each.value <= at < each.value + each.size]
    symbol = f" in {around[-1].name}" if around else ""
    size = f"{len(one.data)} bytes | {len(two.data)} bytes, " if len(one.data) != len(two.data) else ""
    words = [data[at - at % 8 :][:8].hex(" ") for data in (one.data, two.data)]
    return f"section {one.name}{symbol}: {size}from byte {at} on: {words[0]} | {words[1]}"


def _types(one: bytes, two: bytes) -> list[str]:
    """Returns a line for each type that only one of two sections of BTF has."""
    try:
        found = [Counter(_texts(Btf.parse(data))) for data in (one, two)]
    except BtfError:
        return ["section .BTF: unreadable"]
    lines = [f"BTF: only in the first: {text}" for text in (found[0] - found[1]).elements()]
    lines += [f"BTF: only in the second: {text}" for text in (found[1] - found[0]).elements()]
    return lines or ["BTF: the same types in another order, or other strings"]


def _texts(btf: Btf) -> list[str]:
    """Returns each type as C that has a name or members, with its size; a section with its variables' places."""
    texts = []
    for kind in btf:
        if kind.kind == Kind.DATASEC:
            places = ", ".join(f"{btf[each.type].name} at {each.offset}" for each in kind.variables)
            texts.append(f"section {kind.name}, {kind.size} bytes: {places}")
        elif kind.name or kind.kind in COMPOSITES:
            size = f", {kind.size} bytes" if kind.kind in COMPOSITES else ""
            texts.append(f"{_definition(btf, kind.id)}{size}"[:300])
    return texts


def _definition(btf: Btf, number: int) -> str:
    try:
        return " ".join(definition(btf, number).split())
    except BtfError:  # a type that is made of itself
        return f"{btf[number].kind.name} {btf[number].name}"
