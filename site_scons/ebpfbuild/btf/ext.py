"""Reads .BTF.ext: which function starts where, which source line an instruction is of, and the CO-RE relocations.

The format is the kernel's Documentation/bpf/btf.rst, CO-RE's part its bpf_core_relo in include/uapi/linux/bpf.h. Longer
headers and records of a later version are read as far as they are known here, as libbpf does.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, NamedTuple, NoReturn

from ..errors import BtfError
from .reader import MAGIC, Btf
from .types import C_KEYWORDS, COMPOSITES, ENUMS, MODIFIERS, Kind, Type

EXT_HEADER, EXT_HEADER_SIZE, CORE_HEADER_SIZE = "HBBIIIII", 24, 32
MAX_STEPS = 64  # libbpf's BPF_CORE_SPEC_MAX_LEN


class CoreKind(IntEnum):
    """enum bpf_core_relo_kind of include/uapi/linux/bpf.h: what the instruction gets."""

    FIELD_BYTE_OFFSET = 0
    FIELD_BYTE_SIZE = 1
    FIELD_EXISTS = 2
    FIELD_SIGNED = 3
    FIELD_LSHIFT_U64 = 4
    FIELD_RSHIFT_U64 = 5
    TYPE_ID_LOCAL = 6
    TYPE_ID_TARGET = 7
    TYPE_EXISTS = 8
    TYPE_SIZE = 9
    ENUMVAL_EXISTS = 10
    ENUMVAL_VALUE = 11
    TYPE_MATCHES = 12


FIELD_KINDS = tuple(CoreKind)[:6]
ENUM_KINDS = (CoreKind.ENUMVAL_EXISTS, CoreKind.ENUMVAL_VALUE)


class FuncInfo(NamedTuple):
    """A function of BTF type `type` starts at `offset` bytes of an ELF section."""

    section: str
    offset: int
    type: int


class LineInfo(NamedTuple):
    """The source line that an instruction comes from; `text` is the line itself where clang could read the file."""

    section: str
    offset: int
    file: str
    text: str
    line: int
    column: int


class CoreRelocation(NamedTuple):
    """A request to libbpf to patch the instruction at `offset`; `access` walks from the type, as `0:1:2`."""

    section: str
    offset: int
    type: int
    access: str
    kind: CoreKind


@dataclass(frozen=True)
class BtfExt:
    """The three tables, each in the file's order."""

    funcs: tuple[FuncInfo, ...]
    lines: tuple[LineInfo, ...]
    relocations: tuple[CoreRelocation, ...]

    @classmethod
    def parse(cls, data: bytes, btf: Btf, where: str = "") -> "BtfExt":
        """Returns the tables in a .BTF.ext section's bytes, which take their strings and types from `btf`.

        Raises BtfError.
        """
        return _Reader(bytes(data), btf, where).read()


@dataclass(frozen=True)
class _Reader:
    data: bytes
    btf: Btf
    where: str

    def fail(self, what: str) -> NoReturn:
        """Raises BtfError."""
        raise BtfError(what, where=self.where)

    @property
    def order(self) -> str:
        """The byte order as the struct module spells it: `<` or `>`."""
        return "<" if self.btf.little else ">"

    def read(self) -> BtfExt:
        """Reads the three tables. Raises BtfError."""
        data = self.data
        if len(data) < EXT_HEADER_SIZE:
            self.fail(f"has {len(data)} bytes, fewer than its header")
        magic, version, _, start, *tables = struct.unpack_from(self.order + EXT_HEADER, data)
        if magic != MAGIC or version != 1:
            self.fail(f"starts with {data[:3].hex()}, which is not its BTF's byte order and version 1")
        if not EXT_HEADER_SIZE <= start <= len(data):
            self.fail(f"has a header of {start} bytes in {len(data)}")
        tables += struct.unpack_from(self.order + "II", data, 24) if start >= CORE_HEADER_SIZE else (0, 0)
        string, number = self.btf.string, self.type_id
        funcs = (FuncInfo(name, at, number(kind)) for name, at, kind in self.rows(start + tables[0], tables[1], 2))
        lines = (
            LineInfo(name, at, string(file), string(text), place >> 10, place & 0x3FF)  # BPF_LINE_INFO_LINE_NUM, _COL
            for name, at, file, text, place in self.rows(start + tables[2], tables[3], 4)
        )
        cores = (
            CoreRelocation(name, at, number(kind), string(access), self.core_kind(code))
            for name, at, kind, access, code in self.rows(start + tables[4], tables[5], 4)
        )
        return BtfExt(tuple(funcs), tuple(lines), tuple(cores))

    def rows(self, position: int, size: int, words: int) -> Iterator[tuple[Any, ...]]:
        """Yields the ELF section's name and the first `words` words of each record of a table."""
        end = position + size
        if not size:
            return
        if end > len(self.data) or size < 4:
            self.fail("is cut short: a table ends after it")
        (width,) = struct.unpack_from(self.order + "I", self.data, position)
        if width < 4 * words or width % 4:
            self.fail(f"has records of {width} bytes, not {4 * words}")
        position += 4
        record = struct.Struct(f"{self.order}{words}I{width - 4 * words}x")
        while position < end:
            if position + 8 > end:
                self.fail("is cut short inside a section's head")
            name, count = struct.unpack_from(self.order + "II", self.data, position)
            position += 8
            if position + count * width > end:
                self.fail(f"has a section with {count} records that ends after its table")
            section = self.btf.string(name)
            for row in record.iter_unpack(self.data[position : position + count * width]):
                yield section, *row
            position += count * width

    def type_id(self, number: int) -> int:
        """Returns a type's id. Raises BtfError for one that there isn't."""
        return self.btf[number].id

    def core_kind(self, code: int) -> CoreKind:
        """Returns a CO-RE relocation's kind. Raises BtfError for an unknown one."""
        if code >= len(CoreKind):
            self.fail(f"has a CO-RE relocation of unknown kind {code}")
        return CoreKind(code)


def access_path(btf: Btf, relocation: CoreRelocation) -> str:
    """Writes the access in names, such as `struct sock: __sk_common.skc_daddr` or `enum e: VALUE`.

    Members without a name are left out, as libbpf does when it looks the path up in the kernel's BTF. Raises BtfError
    for an access that its type doesn't have.
    """
    text = "".join(name for name, _ in _steps(btf, relocation)).removeprefix(".")
    root = core_type_name(btf, relocation.type)
    return f"{root}: {text}" if text else root


def access_types(btf: Btf, relocation: CoreRelocation) -> list[int]:
    """Returns the ids of the types that the access walks through, the root first. Raises BtfError."""
    return [relocation.type, *(number for _, number in _steps(btf, relocation))]


def core_type_name(btf: Btf, number: int) -> str:
    """Writes a CO-RE root type in words, as `struct sock`, or its kind.

    A typedef keeps its own name, by which libbpf looks it up.
    """
    kind = btf.resolve(number, MODIFIERS)
    keyword = C_KEYWORDS.get(kind.kind, "")
    if kind.kind == Kind.FWD:
        keyword = "union" if kind.flag else "struct"
    return " ".join(filter(None, (keyword, kind.name))) or kind.kind.name.lower()


def _steps(btf: Btf, relocation: CoreRelocation) -> Iterator[tuple[str, int]]:
    """Yields the text and the type of each step of a field's or an enumerator's access.

    A type's own relocation has none.
    """
    steps = relocation.access.split(":")
    if len(steps) > MAX_STEPS or not all(step.isascii() and step.isdigit() and len(step) < 11 for step in steps):
        btf.fail(f"has a CO-RE access {relocation.access!r}")
    first, *rest = map(int, steps)
    if relocation.kind in ENUM_KINDS:
        yield _enumerator(btf, btf.resolve(relocation.type), first), relocation.type
    elif relocation.kind in FIELD_KINDS:
        number = relocation.type
        yield f"[{first}]" if first else "", number
        for step in rest:
            name, number = _step(btf, btf.resolve(number), step)
            yield name, number


def _enumerator(btf: Btf, kind: Type, index: int) -> str:
    if kind.kind not in ENUMS or index >= kind.count:
        btf.fail(f"has no enumerator {index} in {kind.name or kind.id}, which CO-RE names")
    return kind.values[index].name


def _step(btf: Btf, kind: Type, index: int) -> tuple[str, int]:
    """Steps into a member or an element: returns its text and its type."""
    if kind.kind == Kind.ARRAY:
        return f"[{index}]", kind.type
    if kind.kind not in COMPOSITES or index >= kind.count:
        btf.fail(f"has no member {index} in {kind.name or kind.id}, which CO-RE names")
    member = kind.members[index]
    return f".{member.name}" if member.name else "", member.type
