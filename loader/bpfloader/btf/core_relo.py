"""Reads the CO-RE relocations and the source lines of an object's .BTF.ext (kernel: Documentation/bpf/btf.rst, bpf_core_relo of linux/bpf.h).

Headers and records of a later version are read as far as they are known here, as libbpf does.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from .reader import ARRAY, COMPOSITES, FWD, KEYWORDS, MAGIC, QUALIFIERS, Btf, Type

HEADER, HEADER_SIZE = "HBBIIIII", 24
LINES, CORE = 16, 24  # where the header holds offset and size of a part
RECORD = 16  # bytes: insn_off, type_id, access_str_off, kind; of a line insn_off, file_name_off, line_off, line_col
LINE_SHIFT = 10  # BPF_LINE_INFO_LINE_NUM: the column takes the bits below
MAX_STEPS = 64  # libbpf's BPF_CORE_SPEC_MAX_LEN
# enum bpf_core_relo_kind by number, as libbpf's core_relo_kind_str prints it.
KINDS = """byte_off byte_sz field_exists signed lshift_u64 rshift_u64 local_type_id target_type_id type_exists type_size
enumval_exists enumval_value type_matches""".split()
FIELDS, ENUMERATORS = KINDS[:6], ("enumval_exists", "enumval_value")
ASKING = "field_exists", "type_exists", "enumval_exists", "type_matches"  # that a kernel may answer with no


class CoreRecord(NamedTuple):
    """What libbpf fills in for the running kernel at `offset` bytes of a section: `kind` of `access`.

    `access` is a path such as `struct sock.__sk_common.skc_daddr`, `struct sk_buff.cb[3]` or `enum state::RUNNING`.
    """

    section: str
    offset: int
    kind: str
    access: str


def core_records(data: bytes, btf: Btf) -> list[CoreRecord]:
    """The records in a .BTF.ext section's bytes, which take their types from `btf`. Raises ObjectError."""
    return [
        CoreRecord(section, offset, _kind(btf, kind), _access(btf, btf[number], btf.string(access), _kind(btf, kind)))
        for section, offset, number, access, kind in _rows(data, btf, CORE)
    ]


def source_lines(data: bytes, btf: Btf) -> Iterator[tuple[str, int, str]]:
    """(section, offset in it in bytes, `file:line`) of each instruction that a line begins at. Raises ObjectError."""
    for section, offset, file, _, place in _rows(data, btf, LINES):
        yield section, offset, f"{btf.string(file)}:{place >> LINE_SHIFT}"


def _rows(data: bytes, btf: Btf, part: int) -> Iterator[tuple[str, int, int, int, int]]:
    """(section, offset, and three numbers more) of each record of a part."""
    order = "<" if btf.little else ">"
    if len(data) < HEADER_SIZE:
        btf.fail(f"has a .BTF.ext of {len(data)} bytes, fewer than its header")
    magic, version, _, start = struct.unpack_from(order + HEADER[:4], data)
    if magic != MAGIC or version != 1 or start > len(data):
        btf.fail("has a .BTF.ext that is none of version 1")
    offset, size = struct.unpack_from(order + "II", data, part) if part + 8 <= start else (0, 0)
    position, end = start + offset, start + offset + size
    if not size:
        return
    if end > len(data) or size < 4:
        btf.fail("has a .BTF.ext that is cut short")
    (width,) = struct.unpack_from(order + "I", data, position)
    if width < RECORD or width % 4:
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
            at, number, access, kind = struct.unpack_from(order + "IIII", data, place)
            yield section, at, number, access, kind
        position = stop


def _kind(btf: Btf, number: int) -> str:
    if number >= len(KINDS):
        btf.fail(f"has a CO-RE record of kind {number}, which this bpfloader doesn't know")
    return KINDS[number]


def _access(btf: Btf, root: Type, access: str, kind: str) -> str:
    """The path in names. Members without a name are left out, as libbpf does when it looks the path up."""
    steps = access.split(":")
    if len(steps) > MAX_STEPS or not all(step.isascii() and step.isdigit() and len(step) < 11 for step in steps):
        btf.fail(f"has a CO-RE access {access!r}")
    first, *rest = map(int, steps)
    text = _root(btf, root)
    if kind in ENUMERATORS:
        values = btf.values(btf.resolve(root.id))
        if first >= len(values):
            btf.fail(f"has no enumerator {first} in {text}, which CO-RE names")
        return f"{text}::{values[first][0]}"
    if kind not in FIELDS:
        return text
    text += f"[{first}]" if first else ""
    number = root.id
    for step in rest:
        name, number = _step(btf, btf.resolve(number), step)
        text += name
    return text


def _root(btf: Btf, kind: Type) -> str:
    kind = btf.resolve(kind.id, QUALIFIERS)
    keyword = KEYWORDS.get(kind.kind, "")
    if kind.kind == FWD:
        keyword = "union" if kind.flag else "struct"
    return " ".join(filter(None, (keyword, kind.name))) or "a type without a name"


def _step(btf: Btf, kind: Type, index: int) -> tuple[str, int]:
    """One step into a member or an element: its text and its type."""
    if kind.kind == ARRAY:
        return f"[{index}]", btf.element(kind)
    members = btf.members(kind)
    if kind.kind not in COMPOSITES or index >= len(members):
        btf.fail(f"has no member {index} in {kind.name or kind.id}, which CO-RE names")
    member = members[index]
    return f".{member.name}" if member.name else "", member.type
