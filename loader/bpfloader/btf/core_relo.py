"""Reads the CO-RE relocations and the source lines of an object's .BTF.ext.

The formats are those of Documentation/bpf/btf.rst in the kernel and struct bpf_core_relo of linux/bpf.h. Headers and
records of a later version are read as far as they are known here, as libbpf does.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from .reader import ARRAY, FWD, KEYWORDS, MAGIC, QUALIFIERS, Btf, Type

EXT_HEADER, EXT_HEADER_SIZE = "HBBI", 24  # up to the size of the header itself
LINE_INFO, CORE_RELO = 16, 24  # the places in the header of a part's offset and size
RECORD_SIZE = 16  # bytes: insn_off, type_id, access_str_off, kind; or insn_off, file_name_off, line_off, line_col
LINE_SHIFT = 10  # BPF_LINE_INFO_LINE_NUM: the column takes the bits below
MAX_STEPS = 64  # libbpf's BPF_CORE_SPEC_MAX_LEN
# enum bpf_core_relo_kind by number, as libbpf's core_relo_kind_str prints it.
RELO_KINDS = """byte_off byte_sz field_exists signed lshift_u64 rshift_u64 local_type_id target_type_id type_exists
type_size enumval_exists enumval_value type_matches""".split()
FIELD_KINDS, ENUMERATOR_KINDS = RELO_KINDS[:6], ("enumval_exists", "enumval_value")
# The kinds that ask if the kernel has something: an object with them may load on an older kernel.
EXISTENCE_KINDS = "field_exists", "type_exists", "enumval_exists", "type_matches"


class CoreRecord(NamedTuple):
    """A CO-RE relocation: libbpf fills in `kind` of `access` for the running kernel, at `offset` bytes of a section.

    `access` is a path such as `struct sock.__sk_common.skc_daddr`, `struct sk_buff.cb[3]` or `enum state::RUNNING`.
    """

    section: str
    offset: int
    kind: str
    access: str


class SourceLine(NamedTuple):
    """The line of the source, `file:line` and its text, that begins at `offset` bytes of a section."""

    section: str
    offset: int
    line: str
    text: str


class _ExtRecord(NamedTuple):
    """A record of .BTF.ext: the section, the offset in it in bytes, the record's three further words."""

    section: str
    offset: int
    words: tuple[int, int, int]


def core_records(data: bytes, btf: Btf) -> list[CoreRecord]:
    """Reads the CO-RE records in a .BTF.ext section's bytes, which take their types from `btf`. Raises ObjectError."""
    return [
        CoreRecord(section, offset, _kind(btf, kind), _access(btf, btf[number], btf.string(access), _kind(btf, kind)))
        for section, offset, (number, access, kind) in _records(data, btf, CORE_RELO)
    ]


def source_lines(data: bytes, btf: Btf) -> Iterator[SourceLine]:
    """Yields the source line of each instruction at which one begins. Raises ObjectError."""
    for section, offset, (file, text, position) in _records(data, btf, LINE_INFO):
        yield SourceLine(section, offset, f"{btf.string(file)}:{position >> LINE_SHIFT}", btf.string(text))


def _records(data: bytes, btf: Btf, part: int) -> Iterator[_ExtRecord]:
    """Yields the records of the part whose offset and size stand at `part` in the header. Raises ObjectError."""
    order = "<" if btf.little else ">"
    if len(data) < EXT_HEADER_SIZE:
        btf.fail(f"has a .BTF.ext of {len(data)} bytes, fewer than its header")
    magic, version, _, start = struct.unpack_from(order + EXT_HEADER, data)
    if magic != MAGIC or version != 1 or start > len(data):
        btf.fail("has a .BTF.ext that is none of version 1")
    offset, size = struct.unpack_from(order + "II", data, part) if part + 8 <= start else (0, 0)
    position, end = start + offset, start + offset + size
    if not size:
        return
    if end > len(data) or size < 4:
        btf.fail("has a .BTF.ext that is cut short")
    (width,) = struct.unpack_from(order + "I", data, position)
    if width < RECORD_SIZE or width % 4:
        btf.fail(f"has .BTF.ext records of {width} bytes")
    position += 4
    while position < end:
        if position + 8 > end:
            btf.fail("has a .BTF.ext that is cut short")
        name, count = struct.unpack_from(order + "II", data, position)
        position, stop = position + 8, position + 8 + count * width
        if stop > end:
            btf.fail("has a .BTF.ext that is cut short")
        section = btf.string(name)
        for place in range(position, stop, width):
            instruction, first, second, third = struct.unpack_from(order + "IIII", data, place)
            yield _ExtRecord(section, instruction, (first, second, third))
        position = stop


def _kind(btf: Btf, number: int) -> str:
    if number >= len(RELO_KINDS):
        btf.fail(f"has a CO-RE record of kind {number}, which this bpfloader doesn't know")
    return RELO_KINDS[number]


def _access(btf: Btf, root: Type, access: str, kind: str) -> str:
    """Spells the path in names. Leaves out members without a name, as libbpf does when it looks the path up."""
    steps = access.split(":")
    if len(steps) > MAX_STEPS or not all(step.isascii() and step.isdigit() and len(step) < 11 for step in steps):
        btf.fail(f"has a CO-RE access {access!r}")
    first, *rest = map(int, steps)
    text = _root(btf, root)
    if kind in ENUMERATOR_KINDS:
        values = btf.values(btf.resolve(root.id))
        if first >= len(values):
            btf.fail(f"has no enumerator {first} in {text}, which CO-RE names")
        return f"{text}::{values[first][0]}"
    if kind not in FIELD_KINDS:
        return text
    text += f"[{first}]" if first else ""
    number = root.id
    for step in rest:
        found = _step(btf, btf.resolve(number), step)
        text, number = text + found.text, found.type
    return text


def _root(btf: Btf, kind: Type) -> str:
    kind = btf.resolve(kind.id, QUALIFIERS)
    keyword = KEYWORDS.get(kind.kind, "")
    if kind.kind == FWD:
        keyword = "union" if kind.flag else "struct"
    return " ".join(filter(None, (keyword, kind.name))) or "a type without a name"


class _Step(NamedTuple):
    """A step into a member or an element: its text, empty for a member without a name, and its type's id."""

    text: str
    type: int


def _step(btf: Btf, kind: Type, index: int) -> _Step:
    if kind.kind == ARRAY:
        return _Step(f"[{index}]", btf.element(kind))
    member = btf.member(kind, index)
    if member is None:
        btf.fail(f"has no member {index} in {kind.name or kind.id}, which CO-RE names")
    return _Step(f".{member.name}" if member.name else "", member.type)
