"""Names the kinds of BTF types and reads the rows below a type (kernel: Documentation/bpf/btf.rst)."""

from collections.abc import Iterable
from enum import IntEnum
from typing import Any, NamedTuple


class Kind(IntEnum):
    """BTF_KIND_* of include/uapi/linux/btf.h; VOID stands for type id 0, which no record describes.

    UNKNOWN stands for each kind that is newer than this reader, of which BTF's own table told only the length.
    """

    VOID = 0
    INT = 1
    PTR = 2
    ARRAY = 3
    STRUCT = 4
    UNION = 5
    ENUM = 6
    FWD = 7
    TYPEDEF = 8
    VOLATILE = 9
    CONST = 10
    RESTRICT = 11
    FUNC = 12
    FUNC_PROTO = 13
    VAR = 14
    DATASEC = 15
    FLOAT = 16
    DECL_TAG = 17
    TYPE_TAG = 18
    ENUM64 = 19
    UNKNOWN = 127


class Layout(NamedTuple):
    """The 32-bit words behind a kind's first three: their number, and the columns that are names and type ids."""

    fixed: int = 0
    each: int = 0
    names: tuple[int, ...] = ()
    types: tuple[int, ...] = ()


LAYOUTS: dict[int, Layout] = {
    Kind.INT: Layout(fixed=1),
    Kind.PTR: Layout(),
    Kind.ARRAY: Layout(fixed=3, types=(0, 1)),
    Kind.STRUCT: Layout(each=3, names=(0,), types=(1,)),
    Kind.UNION: Layout(each=3, names=(0,), types=(1,)),
    Kind.ENUM: Layout(each=2, names=(0,)),
    Kind.FWD: Layout(),
    Kind.TYPEDEF: Layout(),
    Kind.VOLATILE: Layout(),
    Kind.CONST: Layout(),
    Kind.RESTRICT: Layout(),
    Kind.FUNC: Layout(),
    Kind.FUNC_PROTO: Layout(each=2, names=(0,), types=(1,)),
    Kind.VAR: Layout(fixed=1),
    Kind.DATASEC: Layout(each=3, types=(0,)),
    Kind.FLOAT: Layout(),
    Kind.DECL_TAG: Layout(fixed=1),
    Kind.TYPE_TAG: Layout(),
    Kind.ENUM64: Layout(each=3, names=(0,)),
}

KINDS = tuple(Kind(code) if code in LAYOUTS else Kind.UNKNOWN if code else Kind.VOID for code in range(128))
SIZED = (Kind.INT, Kind.STRUCT, Kind.UNION, Kind.ENUM, Kind.ENUM64, Kind.FLOAT, Kind.DATASEC)
REFERS = (Kind.PTR, Kind.TYPEDEF, Kind.VOLATILE, Kind.CONST, Kind.RESTRICT, Kind.FUNC, Kind.FUNC_PROTO, Kind.VAR,
          Kind.DECL_TAG, Kind.TYPE_TAG)  # fmt: skip
COMPOSITES = (Kind.STRUCT, Kind.UNION)
ENUMS = (Kind.ENUM, Kind.ENUM64)
MODIFIERS = (Kind.VOLATILE, Kind.CONST, Kind.RESTRICT, Kind.TYPE_TAG)
C_KEYWORDS = {Kind.STRUCT: "struct", Kind.UNION: "union", Kind.ENUM: "enum", Kind.ENUM64: "enum"}
TRANSPARENT = (Kind.TYPEDEF, *MODIFIERS)

INT_SIGNED, INT_CHAR, INT_BOOL = 1, 2, 4
VAR_STATIC, VAR_GLOBAL, VAR_EXTERN = 0, 1, 2
FUNC_STATIC, FUNC_GLOBAL, FUNC_EXTERN = 0, 1, 2


class Member(NamedTuple):
    """A struct's or union's member; `bits` is a bitfield's width, 0 for an ordinary member. Offsets are in bits."""

    name: str
    type: int
    bit_offset: int
    bits: int

    @property
    def offset(self) -> int:
        """The byte in which the member starts."""
        return self.bit_offset // 8


class Enumerator(NamedTuple):
    """A name and its value, signed if the enum is."""

    name: str
    value: int


class Param(NamedTuple):
    """A function's parameter; the last one has no name and type 0 where the function takes `...`."""

    name: str
    type: int


class SectionVar(NamedTuple):
    """A variable's (or extern function's) place in a DATASEC, in bytes; clang leaves 0 for the linker to fill in."""

    type: int
    offset: int
    size: int


class Type:
    """A type record of a Btf. `id` is its number, `flag` its kind_flag: a union behind a FWD, signed enumerators.

    What a kind doesn't have reads as 0 or empty, so a caller may ask any type for its members. `btf` is a Btf, whose
    module imports this one.
    """

    __slots__ = ("btf", "id", "kind", "flag", "count", "name_offset", "word", "at", "_members")

    def __init__(self, btf: Any, number: int, name_offset: int, info: int, word: int, at: int):
        self.btf, self.id, self.name_offset, self.word, self.at = btf, number, name_offset, word, at
        self._members: tuple[Member, ...] | None = None
        self.kind, self.flag, self.count = KINDS[info >> 24 & 0x7F], bool(info >> 31), info & 0xFFFFFF

    def __repr__(self) -> str:
        return f"<Type [{self.id}] {self.kind.name} {self.name!r}>"

    @property
    def name(self) -> str:
        """The name, empty for an anonymous type."""
        name: str = self.btf.string(self.name_offset)
        return name

    @property
    def size(self) -> int:
        """The size in bytes that the record itself states; 0 for a kind without one (see Btf.size_of)."""
        return self.word if self.kind in SIZED else 0

    @property
    def type(self) -> int:
        """The id of the type that this one refers to (an array's: its elements'); 0 is void or none."""
        if self.kind == Kind.ARRAY:
            return self._word(0)
        return self.word if self.kind in REFERS else 0

    @property
    def index_type(self) -> int:
        """The id of an array's index type."""
        return self._word(1)

    @property
    def length(self) -> int:
        """The number of an array's elements."""
        return self._word(2)

    @property
    def bits(self) -> int:
        """An integer's width in bits."""
        return self._word(0) & 0xFF

    @property
    def bit_offset(self) -> int:
        """The place in its storage at which an integer starts, in bits; not 0 only in bitfields of old compilers."""
        return self._word(0) >> 16 & 0xFF

    @property
    def encoding(self) -> int:
        """An integer's INT_SIGNED, INT_CHAR and INT_BOOL bits."""
        return self._word(0) >> 24 & 0xF

    @property
    def signed(self) -> bool:
        """True if an integer or an enum is signed."""
        return bool(self.encoding & INT_SIGNED) if self.kind == Kind.INT else self.flag

    @property
    def char(self) -> bool:
        """True if an integer is marked as a character."""
        return bool(self.encoding & INT_CHAR)

    @property
    def bool(self) -> bool:
        """True if an integer is _Bool."""
        return bool(self.encoding & INT_BOOL)

    @property
    def linkage(self) -> int:
        """A function's FUNC_ or a variable's VAR_ linkage."""
        return self.count if self.kind == Kind.FUNC else self._word(0)

    @property
    def component(self) -> int:
        """The index of the member or parameter that a DECL_TAG is of; -1 for the type itself."""
        index = self._word(0)
        return index - (index >> 31 << 32)

    @property
    def members(self) -> tuple[Member, ...]:
        """A struct's or union's members in order; none for another kind."""
        if self.kind not in COMPOSITES:
            return ()
        if self._members is None:
            mask, shift = (0xFFFFFF, 24) if self.flag else (0xFFFFFFFF, 32)
            rows, string = self._rows(3), self.btf.string
            self._members = tuple(Member(string(name), kind, at & mask, at >> shift) for name, kind, at in rows)
        return self._members

    @property
    def values(self) -> tuple[Enumerator, ...]:
        """An enum's enumerators in order; none for another kind."""
        if self.kind not in ENUMS:
            return ()
        wide = self.kind == Kind.ENUM64
        rows = ((row[0], row[1] | row[2] << 32 if wide else row[1]) for row in self._rows(3 if wide else 2))
        sign = 63 if wide else 31
        wrap = 1 << sign + 1 if self.flag else 0
        return tuple(Enumerator(self.btf.string(name), n - (n >> sign) * wrap) for name, n in rows)

    @property
    def params(self) -> tuple[Param, ...]:
        """A function prototype's parameters in order; none for another kind."""
        if self.kind != Kind.FUNC_PROTO:
            return ()
        return tuple(Param(self.btf.string(name), kind) for name, kind in self._rows(2))

    @property
    def variables(self) -> tuple[SectionVar, ...]:
        """A DATASEC's variables in order; none for another kind."""
        return tuple(SectionVar(*row) for row in self._rows(3)) if self.kind == Kind.DATASEC else ()

    def _word(self, index: int) -> int:
        """Returns a word behind the record's first three."""
        word: int = self.btf.words[self.at + index]
        return word

    def _rows(self, width: int) -> Iterable[tuple[int, ...]]:
        words = self.btf.words[self.at : self.at + width * self.count]
        return zip(*(words[column::width] for column in range(width)), strict=True)
