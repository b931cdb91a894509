"""Compares two types by where their members lie, as two versions of a program have them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import NamedTuple

from .c_text import declaration
from .reader import ARRAY, COMPOSITES, DATASEC, ENUM, ENUM64, FLOAT, INT, MAX_DEPTH, PTR, SIGNED, VAR, Btf

MAX_STEPS = 100_000  # through a type: the BTF of a map that is pinned was any program's


class Leaf(NamedTuple):
    """A member that holds no other: its place in bits, its kind, its width in bits, its name from the outermost on."""

    offset: int
    kind: str
    bits: int
    name: str
    text: str  # its declaration in C


def difference(ours: Btf, our_type: int, theirs: Btf, their_type: int) -> str:
    """Names the first difference between the layouts of two types, `theirs` first; empty where there is none.

    A member is the same if it has the same name, place, width and kind: a signed or unsigned number, a float, a
    pointer. The names of types don't count. Raises ObjectError for damaged BTF.
    """
    there = {each[:4]: each for each in _leaves(theirs, their_type, count())}
    here = {each[:4]: each for each in _leaves(ours, our_type, count())}
    gone = [each for key, each in there.items() if key not in here]
    new = [each for key, each in here.items() if key not in there]
    if not gone and not new:
        return ""
    return f"{_told(min(gone, default=None))} where the program has {_told(min(new, default=None))}"


def _told(leaf: Leaf | None) -> str:
    if leaf is None:
        return "nothing"
    byte, bit = divmod(leaf.offset, 8)
    place = f"at byte {byte}, bit {bit}" if bit else f"at byte {byte}"
    return f"{leaf.text} {place}"


def _leaves(
    btf: Btf, number: int, steps: Iterator[int], offset: int = 0, name: str = "", depth: int = 0
) -> Iterator[Leaf]:
    """Yields the members of a type that hold no others, of all structs, unions and arrays of these in it.

    `steps` counts from 0, for a type of too many members.
    """
    if depth > MAX_DEPTH or next(steps) > MAX_STEPS:
        btf.fail(f"has a type in more than {MAX_DEPTH} others, or of more than {MAX_STEPS} members")
    kind = btf.resolve(number)
    if kind.kind == ARRAY and btf.resolve(btf.element(kind)).kind in (ARRAY, *COMPOSITES):
        element = btf.element(kind)
        for at in range(btf.length(kind)):
            yield from _leaves(btf, element, steps, offset + 8 * at * btf.size(element), f"{name}[{at}]", depth + 1)
    elif kind.kind in COMPOSITES:
        for member in btf.members(kind):
            inner = ".".join(filter(None, (name, member.name)))
            place = offset + member.bit_offset
            if member.bits:
                text = f"{declaration(btf, member.type, inner)}: {member.bits}"
                yield Leaf(place, _kind(btf, member.type), member.bits, inner, text)
            else:
                yield from _leaves(btf, member.type, steps, place, inner, depth + 1)
    elif kind.kind == DATASEC:
        for row in btf.variables(kind):
            yield from _leaves(btf, row.type, steps, offset + 8 * row.offset, btf[row.type].name, depth + 1)
    elif kind.kind == VAR:
        yield from _leaves(btf, kind.word, steps, offset, name, depth + 1)
    else:
        yield Leaf(offset, _kind(btf, number), 8 * btf.size(number), name, declaration(btf, number, name))


def _kind(btf: Btf, number: int) -> str:
    """Returns the kind of a leaf's bytes; for an array that of its element."""
    kind = btf.resolve(number)
    if kind.kind == ARRAY:
        return f"{_kind(btf, btf.element(kind))}[]"
    if kind.kind == INT:
        return "signed" if btf.encoding(kind) & SIGNED else "unsigned"
    if kind.kind in (ENUM, ENUM64):
        return "signed" if kind.flag else "unsigned"
    return {PTR: "pointer", FLOAT: "float"}.get(kind.kind, "")
