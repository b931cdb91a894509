"""Lays out structs and unions: which padding, written between the members, puts each where the BTF says that it is.

BTF has no attributes: a member's place alone tells that a struct is packed, or that a member is aligned to more than
its type asks for. What libbpf's btf_dump would write is tried first, as bpftool's headers have it. Where a compiler
makes something else of that, the struct is packed and each gap is written out.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ..btf.types import Kind
from .tables import Row, Tables

MAX_ARRAYS = 64  # in one another
MAX_PADDING = 8 << 20  # bytes of all structs: a kernel's have 0.1 MB, and each word is a line


class Pad(NamedTuple):
    """A bitfield without a name that fills bits, or with none of them goes to its type's next boundary."""

    name: str
    bits: int


class Plan(NamedTuple):
    """How a struct is written: the padding before each of its members and behind the last, in declarations."""

    packed: bool
    align: int
    before: Sequence[Sequence[Pad]]
    behind: Sequence[Pad]


class _Place(NamedTuple):
    """A member's first bit, a bitfield's bits or 0; its type's bits and alignment in bits."""

    at: int
    bits: int
    size: int
    align: int


def roundup(value: int, step: int) -> int:
    """Returns the first multiple of `step` that isn't less."""
    return -(-value // step) * step


class Layout:
    """Sizes, alignments and plans by type number; each is worked out once."""

    def __init__(self, tables: Tables):
        self._tables, self._pointer = tables, tables.btf.pointer
        self._aligns: dict[int, int] = {0: 1}
        self._sizes: dict[int, int] = {0: 0}
        self._plans: dict[int, Plan] = {}
        self._pads = (Pad("long", 8 * self._pointer), Pad("int", 32), Pad("short", 16), Pad("char", 8))
        self._pad_sizes = dict(self._pads)
        self._room = 8 * MAX_PADDING  # bits

    def size(self, number: int) -> int:
        """Returns the size of a type used by value; 0 for functions and for what was only declared. Raises BtfError."""
        known = self._sizes.get(number)
        if known is None:
            known = self._sizes[number] = self._size(number)
        return known

    def _size(self, number: int) -> int:
        tables, count = self._tables, 1
        for _ in range(MAX_ARRAYS):
            kind = tables.kinds[number]
            if kind == Kind.PTR:
                return count * self._pointer
            if kind == Kind.ARRAY:
                count *= tables.lengths[number]
            elif not tables.targets[number]:
                return count * tables.words[number] if kind not in (Kind.FWD, Kind.VOID, Kind.FUNC_PROTO) else 0
            number = tables.targets[number]
        tables.btf.fail(f"has type [{number}] inside more than {MAX_ARRAYS} arrays and typedefs")

    def align(self, number: int) -> int:
        """Returns the alignment in bytes that a type has as it is written."""
        known = self._aligns.get(number)
        if known is None:
            known = self._aligns[number] = self._align(number)
        return known

    def _align(self, number: int) -> int:
        tables = self._tables
        kind, size = tables.kinds[number], tables.words[number]
        if kind == Kind.PTR:
            return self._pointer
        if kind in (Kind.STRUCT, Kind.UNION):
            return self.plan(number).align
        if tables.targets[number]:
            return self.align(tables.targets[number])
        if kind == Kind.INT and size == 16 and self._pointer == 8:
            return 16  # __int128; libbpf says 8
        return max(1, min(self._pointer, size)) if kind in (Kind.INT, Kind.ENUM, Kind.ENUM64, Kind.FLOAT) else 1

    def plan(self, number: int) -> Plan:
        """Returns how a struct or union is written. Raises BtfError."""
        known = self._plans.get(number)
        if known is None:
            known = self._plans[number] = self._natural(number) or self._plan(number)
        return known

    def _natural(self, number: int) -> Plan | None:
        """Returns the plan of a struct that needs no padding and has no bitfields, as nine of ten; None for others."""
        tables, aligns, sizes = self._tables, self._aligns, self._sizes
        if tables.kinds[number] == Kind.UNION or tables.flags[number]:
            return None
        at, most = 0, 1
        for _name, type_, place in tables.rows[number]:
            align = aligns.get(type_) or self.align(type_)
            if place != 8 * (at + -at % align):
                return None
            if align > most:
                most = align
            size = sizes.get(type_)
            at = place // 8 + (self.size(type_) if size is None else size)
        return Plan(False, most, (), ()) if at + -at % most == tables.words[number] and most <= 8 else None

    def _plan(self, number: int) -> Plan:
        tables = self._tables
        places, size = self._places(tables.rows[number], tables.flags[number]), 8 * tables.words[number]
        union = tables.kinds[number] == Kind.UNION
        most = max([8, *(place.align for place in places)])
        packed = size % most != 0 or any(not place.bits and place.at % place.align for place in places)
        if union:
            fits = not packed and roundup(max([0, *map(_end, places)]), most) == size
            return Plan(not fits, most // 8 if fits else 1, (), () if fits else self._fill(0, size))
        align = 8 if packed else most
        plan = Plan(packed, align // 8, *self._as_bpftool(places, size, packed, align))
        if self._pointer == 8 and not self._comes_out(plan, places, size):
            plan = Plan(True, 1, *self._written_out(places, size))
        return plan

    def _places(self, rows: Iterable[Row], split: int) -> list[_Place]:
        found = []
        for _name, type_, place in rows:
            bits, at = (place >> 24, place & 0xFFFFFF) if split else (0, place)
            found.append(_Place(at, bits, 8 * self.size(type_), 8 * self.align(type_)))
        return found

    def _as_bpftool(
        self, places: list[_Place], size: int, packed: bool, align: int
    ) -> tuple[list[list[Pad]], list[Pad]]:
        """Returns the padding that libbpf writes (btf_dump_emit_struct_def)."""
        before, at, after_bitfield = [], 0, False
        for place in places:
            in_bitfield = after_bitfield and place.bits != 0
            pads = self._padding(at, place.at, 8 if packed else place.align, in_bitfield) if at < place.at else []
            before.append(pads)
            at, after_bitfield = _end(place), place.bits != 0
        return before, self._padding(at, size, align, False) if at < size else []

    def _padding(self, at: int, to: int, align: int, in_bitfield: bool) -> list[Pad]:
        """Returns what brings the next member from bit `at` to bit `to` (btf_dump_emit_bit_padding).

        Raises BtfError.
        """
        self._take(to - at)
        found = []
        pad = next((each for each in self._pads if roundup(at, each.bits) <= to), self._pads[-1])
        start = roundup(at, pad.bits)
        if at < start <= to:
            behind = to - start
            if in_bitfield or (not behind and roundup(at, align) != start) or (behind and behind <= start - at):
                found.append(Pad(pad.name, start - at if in_bitfield else 0))
            at = start
        while at + pad.bits <= to:
            found.append(pad)
            at += pad.bits
        return [*found, self._rest(to - at)] if at < to else found

    def _take(self, bits: int) -> None:
        """Takes padding from what all structs may have. Raises BtfError for more."""
        self._room -= max(0, bits)
        if self._room < 0:
            self._tables.btf.fail(f"has structs with more than {MAX_PADDING >> 20} MiB of padding")

    def _rest(self, bits: int) -> Pad:
        return Pad(next(each.name for each in reversed(self._pads) if each.bits >= bits), bits)

    def _fill(self, at: int, to: int) -> list[Pad]:
        """Returns what fills the bits from `at` to `to` of a packed struct. Raises BtfError."""
        self._take(to - at)
        whole, rest = divmod(max(0, to - at), self._pads[0].bits)
        return [self._pads[0]] * whole + ([self._rest(rest)] if rest else [])

    def _written_out(self, places: list[_Place], size: int) -> tuple[list[list[Pad]], list[Pad]]:
        starts = [0, *map(_end, places)]
        return [self._fill(at, place.at) for at, place in zip(starts, places)], self._fill(starts[-1], size)

    def _comes_out(self, plan: Plan, places: list[_Place], size: int) -> bool:
        """Returns True if clang puts each member where it belongs (its ItaniumRecordLayoutBuilder)."""
        at, most = 0, 8
        for pads, place in zip(plan.before, places):
            for pad in pads:
                at = self._behind(at, pad, plan.packed)
            align = 8 if plan.packed else place.align
            start = _bitfield(at, place, plan.packed) if place.bits else roundup(at, align)
            if start != place.at:
                return False
            at, most = _end(place), max(most, align)
        for pad in plan.behind:
            at = self._behind(at, pad, plan.packed)
        return roundup(at, most) == size

    def _behind(self, at: int, pad: Pad, packed: bool) -> int:
        """Returns the bit behind a bitfield without a name."""
        size = self._pad_sizes[pad.name]
        return _bitfield(at, _Place(0, pad.bits, size, size), packed) + pad.bits


def _end(place: _Place) -> int:
    return place.at + (place.bits or place.size)


def _bitfield(at: int, place: _Place, packed: bool) -> int:
    """Returns where a bitfield starts that follows bit `at`: it doesn't cross a boundary of its type, if not packed."""
    if not place.bits:
        return roundup(at, place.align)
    crosses = at % place.align + place.bits > place.size
    return roundup(at, place.align) if crosses and not packed else at
