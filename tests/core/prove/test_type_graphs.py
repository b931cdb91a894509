"""The type graphs: their numbers don't count, every other bit does; an error or a verdict for any bytes."""

import random
import struct
import time

import pytest
from ebpfbuild.btf.reader import Btf
from ebpfbuild.btf.types import LAYOUTS, REFERS, Kind
from ebpfbuild.btf.ext import CoreKind
from ebpfbuild.elf.reader import Elf
from ebpfbuild.elf.strip import strip_dwarf
from ebpfbuild.errors import BtfError, ElfError
from ebpfbuild.prove.objects import PROVABLE_MODES, Verdict, prove
from fuzzing import EDITS, mutate
from hypothesis import assume, given, settings
from hypothesis import strategies as st


def renumbered(data, seed):
    """The object with its BTF types in another order, and every number of a type changed to match."""
    elf = Elf.parse(data)
    section, ext = elf.section(".BTF"), elf.section(".BTF.ext")
    btf, out = Btf.parse(section.data), bytearray(data)
    order = random.Random(seed).sample(range(1, len(btf)), len(btf) - 1)
    place = {old: new for new, old in enumerate(order, 1)} | {0: 0}
    starts = [kind.at - 3 for kind in btf] + [len(btf.words)]
    words = []
    for old in order:
        row = list(btf.words[starts[old - 1] : starts[old]])
        layout, kind = LAYOUTS[btf[old].kind], btf[old].kind
        for index in [2] * (kind in REFERS) + [
            at for column in layout.types for at in range(3 + column, len(row), layout.each or layout.fixed)
        ]:
            row[index] = place[row[index]]
        words += row
    struct.pack_into(f"{elf.order}{len(words)}I", out, section.offset + 24, *words)
    _, funcs, _, _, _, cores, size = struct.unpack_from(elf.order + "7I", ext.data, 4)
    assert size
    for start, width, field in ((funcs, 8, 1), (cores, 16, 1)):
        at = 32 + start + 4
        end = 32 + (cores + size if start == cores else funcs + struct.unpack_from(elf.order + "I", ext.data, 12)[0])
        while at < end:
            name, count = struct.unpack_from(elf.order + "II", ext.data, at)
            at += 8
            for row in range(at, at + count * width, width):
                offset, number = struct.unpack_from(elf.order + "II", ext.data, row)
                struct.pack_into(elf.order + "I", out, ext.offset + row + 4 * field, place[number])
                kind = struct.unpack_from(elf.order + "I", ext.data, row + 12)[0] if width == 16 else 0
                if kind in (CoreKind.TYPE_ID_LOCAL, CoreKind.TYPE_ID_TARGET):
                    code = elf.section(btf.string(name)).offset + offset + 4
                    struct.pack_into(elf.order + "I", out, code, place[number])
            at += count * width
    return bytes(out)


@pytest.mark.parametrize("mode", PROVABLE_MODES)
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("target", ["bpfel", "bpfeb"])
def test_the_numbers_of_the_types_do_not_count(prove_object, sample, target, seed, mode):
    for data in (strip_dwarf(prove_object(target=target)), strip_dwarf(sample(target))):
        other = renumbered(data, seed)
        assert other != data
        assert prove(data, other, mode) == Verdict(mode, True)
        assert prove(other, renumbered(data, seed + 100), mode).equal


@given(word=st.integers(0, 10**6), bit=st.integers(0, 31))
@settings(max_examples=150, deadline=None)
def test_a_flipped_bit_of_a_type_is_a_difference_or_an_error(prove_object, word, bit):
    """Any word that BTF gives a meaning; ARRAY's third has none, nor have an integer's highest bits."""
    data = strip_dwarf(prove_object())
    section = Elf.parse(data).section(".BTF")
    btf = Btf.parse(section.data)
    meant = [
        index
        for kind in btf
        for index in range(kind.at - 1, kind.at + LAYOUTS[kind.kind].fixed + LAYOUTS[kind.kind].each * kind.count)
        if not (kind.kind == Kind.ARRAY and index == kind.at - 1) and not (kind.kind == Kind.INT and index == kind.at)
    ]
    out, chosen = bytearray(data), meant[word % len(meant)]
    new = btf.words[chosen] ^ 1 << bit
    assume(btf.words[chosen] or btf.strings[new : new + 1] != b"\0")  # from one empty name to another
    struct.pack_into("<I", out, section.offset + 24 + 4 * chosen, new)
    try:
        assert not prove(data, bytes(out), "exact").equal
    except BtfError:
        pass


@given(edits=EDITS, part=st.sampled_from(("all", ".BTF", ".BTF.ext", ".symtab")), mode=st.sampled_from(PROVABLE_MODES))
@settings(max_examples=250, deadline=None)
def test_a_damaged_object_gives_an_error_or_a_verdict(prove_object, edits, part, mode):
    data = strip_dwarf(prove_object())
    section = Elf.parse(data).section(part)
    start, size = (section.offset, section.size) if section else (0, len(data))
    damaged = mutate(data[start : start + size], edits)
    damaged = damaged[:size].ljust(size, b"\0") if section else damaged
    started = time.process_time()
    for pair in ((data, damaged), (damaged, data)):
        other = [data[:start] + each + data[start + size :] if each is damaged else each for each in pair]
        try:
            prove(*other, mode).to_json()
        except (ElfError, BtfError):
            pass
    assert time.process_time() - started < 2
