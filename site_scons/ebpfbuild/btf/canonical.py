"""Writes an object's BTF in one canonical form, so that the same program gives the same bytes wherever it is compiled.

Types are numbered as order.py has it; strings are laid out in the order of their first use, each once, without
those that nothing uses. Every reference follows: in .BTF and the relocations of its DATASECs, in .BTF.ext's functions,
lines and CO-RE relocations, and in the instructions that hold a type's number (BPF_CORE_TYPE_ID_LOCAL and _TARGET).
"""

import struct
import sys
from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from ..elf.reader import INSN_SIZE, LD_IMM64, REL, SHT_REL, Elf, Section
from ..elf.strip import stripped
from ..errors import ElfError
from .ext import CoreKind
from .ext_words import ExtWords
from .order import REFERRING, Types, canonical_order
from .reader import BTF_HEADER, BTF_HEADER_SIZE, MAGIC, Btf
from .types import LAYOUTS, Kind

TYPE_ID_KINDS = (CoreKind.TYPE_ID_LOCAL, CoreKind.TYPE_ID_TARGET)
IMMEDIATE = 4  # where an instruction's immediate starts, in bytes
ALU_CLASSES, CLASS, REGISTER = (4, 7), 7, 8  # of uapi/linux/bpf_common.h; REGISTER is set where there is no immediate


LineText = Callable[
    [str, int], bytes | None
]  # a file's name and a line's number -> its text, None to keep what is there


def canonical_object(data: bytes, where: str = "", line_text: LineText | None = None) -> bytes:
    """Strips DWARF from clang's object and writes its BTF in canonical form.

    `where` names the object in errors. Raises what canonical raises.
    """
    return stripped(canonical(Elf.parse(data, where), line_text))


def canonical(elf: Elf, line_text: LineText | None = None) -> Elf:
    """Returns the object with its BTF in canonical form, its lines' text from `line_text`; one without BTF as it is.

    Raises BtfError and ElfError for what is malformed, and for what clang doesn't write and this can't renumber.
    """
    section, more = elf.section(".BTF"), elf.section(".BTF.ext")
    if section is None:
        return elf
    where = f"{elf.where}: " if elf.where else ""
    btf = Btf.parse(section.data, f"{where}.BTF")
    start, type_at = struct.unpack_from(elf.order + BTF_HEADER, section.data)[3:5]
    if start != BTF_HEADER_SIZE or type_at:
        btf.fail(f"has a header of {start} bytes and types {type_at} behind it, which this writer doesn't know")
    ext = ExtWords(more.data, btf.little, f"{where}.BTF.ext") if more else None
    types = Types(btf)
    order = canonical_order(types, _placed(ext, len(btf)) if ext else ())
    numbers, strings = _numbers(order), _Strings(btf)
    body, moved = _types(types, order, numbers, strings)
    new = _instructions(elf, btf, numbers, ext) if ext else {}  # before the old numbers in .BTF.ext are gone
    if ext and more:
        if line_text:
            _set_line_text(ext, btf, strings, line_text)
        _rewrite(ext, numbers, strings)
        new[more.index] = ext.written()
    new[section.index] = _section(btf, body, strings)
    new |= _relocations(elf, section, moved)
    return replace(elf, sections=tuple(_with_data(each, new) for each in elf.sections))


def _with_data(section: Section, new: Mapping[int, bytes]) -> Section:
    data = new.get(section.index)
    return section if data is None else replace(section, data=data, size=len(data))


class _Strings:
    """The strings in their new order, each once: `placed` lays those out that it is first asked for."""

    def __init__(self, btf: Btf):
        self._btf = btf
        self._read = btf.all_strings()
        self._places = {b"": 0}  # in the order of first use
        self._end = len(btf.strings)
        self._size = 1
        self._new: dict[int, int] = {}

    def added(self, text: bytes) -> int:
        """Returns an old offset for a string that clang didn't write."""
        offset = self._end
        self._read[offset] = text
        self._end += len(text) + 1
        return offset

    def placed(self, offsets: Sequence[int]) -> list[int]:
        """Returns the new offsets of strings by their old ones."""
        new, read, places, size = self._new, self._read, self._places, self._size
        for offset in dict.fromkeys(offsets):
            if offset in new:
                continue
            text = read.get(offset)
            if text is None:
                text = self._btf.string_bytes(offset)
            new[offset] = place = places.setdefault(text, size)
            if place == size:
                size += len(text) + 1
                if size > self._end:
                    self._btf.fail("has strings inside one another, which clang does not write")
        self._size = size
        return [new[offset] for offset in offsets]

    def written(self) -> bytes:
        """Returns the string section's bytes."""
        return b"\0".join([*self._places, b""])


def _placed(ext: ExtWords, count: int) -> list[int]:
    """Returns the types that instructions refer to: functions', then CO-RE's.

    Raises BtfError for one that there isn't.
    """
    placed = [*ext.column(ext.functions, 1), *ext.column(ext.relocations, 1)]
    if max(placed, default=0) >= count:
        ext.fail(f"refers to type [{max(placed)}] of {count}")
    return placed


def _numbers(order: list[int]) -> list[int]:
    """Returns each type's new number by its old one; void stays 0."""
    numbers = [0] * (len(order) + 1)
    for new, old in enumerate(order, 1):
        numbers[old] = new
    return numbers


def _types(types: Types, order: list[int], numbers: list[int], strings: _Strings) -> tuple[list[int], dict[int, int]]:
    """Returns the types' words, and where each offset of a DATASEC's entries went, in bytes of the section."""
    out: list[int] = []
    named: list[int] = []  # the words that are offsets of strings
    moved: dict[int, int] = {}
    for number in order:
        start, end, kind = types.starts[number], types.ends[number], types.kinds[number]
        record, at = types.words[start:end], len(out)
        named.append(at)
        if REFERRING[kind]:
            record[2] = numbers[record[2]]
        if len(record) > 3:
            layout = LAYOUTS[kind]
            step = layout.each or layout.fixed
            for column in layout.names:
                named += range(at + 3 + column, at + len(record), step)
            for column in layout.types:
                record[3 + column :: step] = [numbers[each] for each in record[3 + column :: step]]
        if kind == Kind.DATASEC:
            places = types.entries(number)
            moved |= {_offset_place(start, old): _offset_place(at, new) for new, old in enumerate(places)}
            record[3:] = [word for place in places for word in record[3 + 3 * place : 6 + 3 * place]]
        out += record
    for place, offset in zip(named, strings.placed([out[place] for place in named])):
        out[place] = offset
    return out, moved


def _offset_place(start: int, entry: int) -> int:
    """Returns the place in .BTF, in bytes, of the offset of a DATASEC's entry whose record starts at that word."""
    return BTF_HEADER_SIZE + 4 * (start + 3 + 3 * entry + 1)


def _set_line_text(ext: ExtWords, btf: Btf, strings: _Strings, line_text: LineText) -> None:
    """Gives lines the text that they have in the files which `line_text` knows."""
    for block in ext.lines:
        files, texts, places = (ext.words[block.column(number)] for number in (1, 2, 3))
        for index, (file, place) in enumerate(zip(files, places)):
            text = line_text(btf.string(file), place >> 10)  # BPF_LINE_INFO_LINE_NUM of include/uapi/linux/bpf.h
            if text is not None:
                texts[index] = strings.added(text)
        ext.words[block.column(2)] = texts


def _rewrite(ext: ExtWords, numbers: list[int], strings: _Strings) -> None:
    """Renumbers what .BTF.ext refers to: sections' names, functions' and CO-RE's types, lines' and accesses' text."""
    for blocks, types, texts in (
        (ext.functions, (1,), ()),
        (ext.lines, (), (1, 2)),
        (ext.relocations, (1,), (2,)),
    ):
        for block in blocks:
            (ext.words[block.name],) = strings.placed([ext.words[block.name]])
            for column in map(block.column, types):
                ext.words[column] = array("I", [numbers[number] for number in ext.words[column]])
            for column in map(block.column, texts):
                ext.words[column] = array("I", strings.placed(ext.words[column]))


def _instructions(elf: Elf, btf: Btf, numbers: list[int], ext: ExtWords) -> dict[int, bytes]:
    """Returns the new bytes of sections whose instructions hold types' numbers, by section."""
    new: dict[int, bytearray] = {}
    for block in ext.relocations:
        name = btf.string(ext.words[block.name])
        for at, number, kind in zip(*(ext.words[block.column(place)] for place in (0, 1, 3))):
            if kind not in TYPE_ID_KINDS:
                continue
            section = elf.section(name)
            if section is None or at % INSN_SIZE or at + INSN_SIZE > len(section.data):
                ext.fail(f"names an instruction at {at} of section {name}, which isn't there")
            _put(new.setdefault(section.index, bytearray(section.data)), at, number, numbers[number], elf.order)
    return {index: bytes(data) for index, data in new.items()}


def _put(code: bytearray, at: int, old: int, new: int, order: str) -> None:
    """Puts a type's new number into an instruction that holds the old one; what holds another is not by clang."""
    opcode = code[at]
    plain = opcode & CLASS in ALU_CLASSES and not opcode & REGISTER
    if (opcode == LD_IMM64 or plain) and struct.unpack_from(order + "I", code, at + IMMEDIATE)[0] == old:
        struct.pack_into(order + "I", code, at + IMMEDIATE, new)


def _section(btf: Btf, types: list[int], strings: _Strings) -> bytes:
    """Returns the bytes of .BTF."""
    order, words = "<" if btf.little else ">", array("I", types)
    if btf.little != (sys.byteorder == "little"):
        words.byteswap()
    size, texts = 4 * len(words), strings.written()
    return (
        struct.pack(order + BTF_HEADER, MAGIC, 1, 0, BTF_HEADER_SIZE, 0, size, size, len(texts))
        + words.tobytes()
        + texts
    )


def _relocations(elf: Elf, btf: Section, moved: Mapping[int, int]) -> dict[int, bytes]:
    """Returns the sections that relocate .BTF, their rows by their new offsets."""
    new = {}
    for table in elf.sections:
        if table.type != SHT_REL or table.info != btf.index:
            continue
        rows = list(elf.rows(table))
        if lost := [row.offset for row in rows if row.offset not in moved]:
            raise ElfError(f"relocates byte {lost[0]} of .BTF, which is no offset of a variable", where=elf.where)
        packed = sorted((moved[row.offset], row.symbol << 32 | row.type) for row in rows)
        new[table.index] = b"".join(struct.pack(elf.order + REL, *row) for row in packed)
    return new
