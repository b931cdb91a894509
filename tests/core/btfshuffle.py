"""Writes an object's BTF with its types, strings and externs in another order: the same program, other bytes."""

import itertools
import random
import struct
from dataclasses import replace

from ebpfbuild.btf.reader import BTF_HEADER, Btf
from ebpfbuild.btf.types import LAYOUTS, REFERS, Kind
from ebpfbuild.btf.ext_words import ExtWords
from ebpfbuild.elf.reader import REL, SHT_REL, Elf
from ebpfbuild.elf.strip import stripped


def clang_may(btf: Btf, random: random.Random) -> list[int]:
    """An order of the types that differs in forward declarations and type tags, where they are and which is which."""
    numbers = [kind.id for kind in btf]
    loose = [kind.id for kind in btf if kind.kind in (Kind.FWD, Kind.TYPE_TAG)]
    mixed = iter(random.sample(loose, len(loose)))
    return [next(mixed) if btf[number].kind in (Kind.FWD, Kind.TYPE_TAG) else number for number in numbers]


def any_order(btf: Btf, random: random.Random) -> list[int]:
    """The types in any order at all."""
    return random.sample(range(1, len(btf)), len(btf) - 1)


def shuffled(data: bytes, choose, seed: int) -> bytes:
    """The object with its types in the order that `choose` gives, strings in any, and externs within their sections."""
    chance = random.Random(seed)
    elf = Elf.parse(data)
    section, more = elf.section(".BTF"), elf.section(".BTF.ext")
    btf = Btf.parse(section.data)
    order = choose(btf, chance)
    numbers = {0: 0} | {old: new for new, old in enumerate(order, 1)}
    texts = [text for text in btf.strings[:-1].split(b"\0") if text]
    chance.shuffle(texts)
    places = dict(zip(texts, itertools.accumulate((len(text) + 1 for text in texts), initial=1)))
    places[b""] = 0

    def string(offset):
        return places[btf.strings[offset : btf.strings.index(0, offset)]]

    words, moved = [], {}
    for kind in map(btf.__getitem__, order):
        rows = _rows(btf, kind, numbers, string)
        if kind.kind == Kind.DATASEC:
            places_ = list(range(kind.count))
            if all(_extern(btf, row.type) for row in kind.variables):
                chance.shuffle(places_)
            for new, old in enumerate(places_):
                moved[24 + 4 * (kind.at + 3 * old + 1)] = 24 + 4 * (len(words) + 3 + 3 * new + 1)
            rows = [word for old in places_ for word in rows[3 * old : 3 * old + 3]]
        _, info, word = btf.words[kind.at - 3 : kind.at]
        words += [string(kind.name_offset), info, numbers[word] if kind.kind in REFERS else word, *rows]
    strings = b"\0" + b"".join(text + b"\0" for text in texts)
    new = {section.index: _btf(elf.order, words, strings)}
    if more:
        new |= _ext(elf, btf, more, numbers, string)
    for table in elf.sections:
        if table.type == SHT_REL and table.info == section.index:
            rows = sorted((moved[row.offset], row.symbol << 32 | row.type) for row in elf.rows(table))
            new[table.index] = b"".join(struct.pack(elf.order + REL, *row) for row in rows)
    sections = (replace(each, data=new.get(each.index, each.data)) for each in elf.sections)
    return stripped(replace(elf, sections=tuple(sections)))


def _extern(btf, number):
    kind = btf[number]
    return kind.kind in (Kind.FUNC, Kind.VAR) and kind.linkage == 2


def _rows(btf, kind, numbers, string):
    layout = LAYOUTS[kind.kind]
    rows = list(btf.words[kind.at : kind.at + layout.fixed + layout.each * kind.count])
    for at in range(0, len(rows), layout.each or layout.fixed or 1):
        for column in layout.names:
            rows[at + column] = string(rows[at + column])
        for column in layout.types:
            rows[at + column] = numbers[rows[at + column]]
    return rows


def _btf(order, words, strings):
    size = 4 * len(words)
    header = struct.pack(order + BTF_HEADER, 0xEB9F, 1, 0, 24, 0, size, size, len(strings))
    return header + struct.pack(f"{order}{len(words)}I", *words) + strings


def _ext(elf, btf, section, numbers, string):
    """The new .BTF.ext, and the code whose instructions hold a type's number."""
    ext, new = ExtWords(section.data, btf.little, ""), {}
    words = ext.words
    for block in ext.relocations:
        code = elf.section(btf.string(words[block.name]))
        for at in range(block.start, block.end, block.width):
            if words[at + 3] in (6, 7):
                data = bytearray(new.get(code.index, code.data))
                assert struct.unpack_from(elf.order + "I", data, words[at] + 4) == (words[at + 1],)
                struct.pack_into(elf.order + "I", data, words[at] + 4, numbers[words[at + 1]])
                new[code.index] = bytes(data)
    for blocks, types, texts in ((ext.functions, [1], []), (ext.lines, [], [1, 2]), (ext.relocations, [1], [2])):
        for block in blocks:
            words[block.name] = string(words[block.name])
            for at in range(block.start, block.end, block.width):
                for column in types:
                    words[at + column] = numbers[words[at + column]]
                for column in texts:
                    words[at + column] = string(words[at + column])
    return {**new, section.index: ext.written()}
