"""BTF in canonical form: whatever order clang gave the types, the bytes are the same and mean what they meant."""

import struct
import time
from dataclasses import replace

import pytest
from btfshuffle import any_order, clang_may, shuffled
from btfwriter import assemble, info
from ebpfbuild.btf.reader import Btf
from ebpfbuild.btf.canonical import canonical, canonical_object
from ebpfbuild.btf.types import LAYOUTS, Kind
from ebpfbuild.btf.ext import BtfExt
from ebpfbuild.elf.reader import Elf
from ebpfbuild.elf.strip import strip_dwarf, stripped
from ebpfbuild.errors import BtfError, ElfError
from ebpfbuild.spec.object import ObjectSpec
from ebpfbuild.prove.objects import Verdict, prove
from fuzzing import EDITS, mutate
from hypothesis import given, settings
from hypothesis import strategies as st

CORPUS = ("sample.bpf.c", "canonical/forwards.bpf.c", "canonical/externs.bpf.c", "skeleton/every.bpf.c")
TARGETS = ("bpfel", "bpfeb")
NUMBERS = (2, 3, 4, 6, 7, *range(9, 21), 25, 28, 31)  # of externs.bpf.c


@pytest.fixture(params=TARGETS)
def target(request):
    return request.param


@pytest.fixture(params=CORPUS)
def built(request, compile_bpf, target, pytestconfig):
    """clang's object of a program of the corpus, free of DWARF."""
    flags = ("-Wno-error", "-Wno-everything")
    return strip_dwarf(compile_bpf(pytestconfig.rootpath / "tests" / "testdata" / request.param, target, flags))


@pytest.fixture
def externs(compile_bpf, target, pytestconfig):
    source = pytestconfig.rootpath / "tests" / "testdata" / "canonical" / "externs.bpf.c"
    return strip_dwarf(compile_bpf(source, target, ("-Wno-everything",)))


@pytest.mark.parametrize("choose", (clang_may, any_order))
def test_any_order_of_the_types_gives_the_same_bytes(built, choose):
    expected = canonical_object(built)
    assert canonical_object(expected) == expected
    for seed in range(8):
        other = shuffled(built, choose, seed)
        assert other != built
        assert canonical_object(other) == expected


def test_the_same_program_is_left(built):
    made = canonical_object(built)
    before, after = ObjectSpec.from_bytes(built), ObjectSpec.from_bytes(made)
    for part in ("license", "version"):
        assert getattr(after, part) == getattr(before, part)
    for part in ("maps", "programs", "data"):
        assert [each.name for each in getattr(after, part)] == [each.name for each in getattr(before, part)]
    for mode in ("exact", "lean", "fields"):
        assert prove(built, made, mode) == Verdict(mode, True)
        assert prove(made, built, mode) == Verdict(mode, True)
    assert len(Btf.parse(Elf.parse(made).section(".BTF").data)) == len(before.btf)


def test_strings_are_laid_out_once_in_the_order_of_their_use(built):
    elf = Elf.parse(canonical_object(built))
    btf = Btf.parse(elf.section(".BTF").data)
    texts = btf.strings[1:-1].split(b"\0")
    assert len(set(texts)) == len(texts)
    used = [offset for kind in btf for offset in names_used(btf, kind) if offset]
    first = list(dict.fromkeys(used))
    assert first == sorted(first) and first[0] == 1
    laid = b"".join(btf.string_bytes(offset) + b"\0" for offset in first)
    assert btf.strings[1:].startswith(laid)


def names_used(btf, kind):
    """The offsets of a type's own name and of its members'."""
    layout = LAYOUTS[kind.kind]
    rows = btf.words[kind.at : kind.at + layout.each * kind.count]
    return [kind.name_offset, *(offset for column in layout.names for offset in rows[column :: layout.each])]


def test_instructions_that_hold_a_type_s_number_hold_the_new_one(externs):
    before, after = numbers_held(externs), numbers_held(canonical_object(shuffled(externs, any_order, 1)))
    assert after == before
    assert [name for name, _ in before] == ["kernel", "event"]


def numbers_held(data):
    """The name and kind of the type that each instruction's immediate names by number."""
    elf = Elf.parse(data)
    btf = Btf.parse(elf.section(".BTF").data)
    found = []
    for row in BtfExt.parse(elf.section(".BTF.ext").data, btf).relocations:
        if row.kind in (6, 7):
            (number,) = struct.unpack_from(elf.order + "I", elf.section(row.section).data, row.offset + 4)
            assert number == row.type
            found.append((btf[number].name, btf[number].kind))
    return found


def test_each_extern_keeps_its_symbol(externs):
    for data in (externs, canonical_object(shuffled(externs, any_order, 2))):
        elf = Elf.parse(data)
        section = elf.section(".BTF")
        btf = Btf.parse(section.data)
        symbols = {row.offset: elf.symbols[row.symbol].name for row in elf.relocations(section)}
        assert len(symbols) > 40
        for kind in btf:
            for row, variable in enumerate(kind.variables):
                symbol = symbols.pop(24 + 4 * (kind.at + 3 * row + 1))
                assert symbol == btf[variable.type].name or variable.offset or btf[variable.type].linkage == 0
        assert not symbols


def test_maps_keep_their_order_and_externs_are_sorted(externs):
    btf = Btf.parse(Elf.parse(canonical_object(shuffled(externs, any_order, 3))).section(".BTF").data)
    names = {
        kind.name: [btf[variable.type].name for variable in kind.variables]
        for kind in btf.named(".maps", Kind.DATASEC) + btf.named(".ksyms", Kind.DATASEC)
    }
    assert names[".maps"] == ["second", "first", "ring"]
    functions, variables = names[".ksyms"][:20], names[".ksyms"][20:]
    assert functions == sorted(f"kfunc_{number}" for number in NUMBERS)
    assert variables == sorted(f"variable_{number}" for number in NUMBERS)


TWINS = (
    # Two anonymous structs that nothing leads to and that differ three steps away, and a ring of pointers.
    [
        (0, info(Kind.STRUCT, 1), 8, 0, 2, 0), (0, info(Kind.PTR), 3), (1, info(Kind.FWD), 0),
        (0, info(Kind.STRUCT, 1), 8, 0, 5, 0), (0, info(Kind.PTR), 6), (2, info(Kind.FWD), 0),
        (0, info(Kind.PTR), 8), (0, info(Kind.CONST), 7),
    ],
    # Declaration tags of one type, of its members and of one another; a tag of nothing.
    [
        (1, info(Kind.STRUCT, 2), 8, 1, 2, 0, 5, 2, 32), (2, info(Kind.INT), 4, 32),
        (3, info(Kind.DECL_TAG), 1, 0xFFFFFFFF), (4, info(Kind.DECL_TAG), 1, 1), (3, info(Kind.DECL_TAG), 1, 0),
        (5, info(Kind.DECL_TAG), 0, 0xFFFFFFFF),
    ],
    # Forward declarations of one name that stand for two types, told apart by what points to them.
    [
        (1, info(Kind.STRUCT, 2), 16, 1, 2, 0, 5, 3, 64), (0, info(Kind.PTR), 4), (0, info(Kind.PTR), 5),
        (4, info(Kind.FWD), 0), (4, info(Kind.FWD), 0),
    ],
)  # fmt: skip


@pytest.mark.parametrize("number", range(len(TWINS)))
def test_types_without_a_name_or_a_place_are_told_apart(number, sample, target):
    base = with_btf(sample(target), assemble(TWINS[number], ("", "one", "two", "three", "four", "five"), order(target)))
    expected = canonical_object(base)
    for seed in range(30):
        assert canonical_object(shuffled(base, any_order, seed)) == expected


def order(target):
    return "<" if target == "bpfel" else ">"


def with_btf(data, btf):
    """An object whose BTF is these bytes, without .BTF.ext and relocations."""
    elf = Elf.parse(strip_dwarf(data))
    new = {".BTF": btf, ".rel.BTF": b"", ".rel.BTF.ext": b""}
    sections = (
        replace(each, name=each.name.replace(".BTF.ext", ".other"), data=new.get(each.name, each.data))
        for each in elf.sections
    )
    return stripped(replace(elf, sections=tuple(sections)))


def test_strings_that_nothing_uses_go_and_equal_ones_become_one(sample, target):
    types = [(1, info(Kind.INT), 4, 32), (3, info(Kind.FWD), 0), (4, info(Kind.FWD), 0)]
    made = canonical_object(with_btf(sample(target), assemble(types, ("", "int", "unused", "s", "s"), order(target))))
    btf = Btf.parse(Elf.parse(made).section(".BTF").data)
    assert btf.strings == b"\0int\0s\0" or btf.strings == b"\0s\0int\0"
    assert [kind.name for kind in btf] == ["int", "s", "s"]


def test_an_object_without_btf_is_left(compile_bpf):
    elf = Elf.parse(strip_dwarf(compile_bpf("static int never(void) { return 1; }", flags=("-Wno-everything",))))
    assert elf.section(".BTF") is None
    assert canonical(elf) is elf


def edited(data, name, edit):
    """The object with a section's bytes changed."""
    elf = Elf.parse(data)
    sections = (replace(each, data=edit(each.data)) if each.name == name else each for each in elf.sections)
    return stripped(replace(elf, sections=tuple(sections)))


def put(offset, value):
    return lambda data: data[:offset] + struct.pack("<I", value) + data[offset + 4 :]


def longer_header(data):
    return data[:4] + struct.pack("<I", 28) + data[8:24] + bytes(4) + data[24:]


BROKEN = {
    "a longer header": (".BTF", longer_header, "header of 28"),
    "types further on": (".BTF", put(8, 4), "BTF: .*"),
    "a longer .BTF.ext": (".BTF.ext", put(4, 40), "header of 40 bytes"),
    "bytes behind its tables": (".BTF.ext", lambda data: data + bytes(4), "4 bytes behind its tables"),
    "tables that overlap": (".BTF.ext", put(16, 0), "not where the one before it ended"),
    "another width": (".BTF.ext", put(32, 12), "records of 12 bytes, not 8"),
    "too many records": (".BTF.ext", put(40, 0xFFFFFF), "whose records end after its table"),
    "no such function": (".BTF.ext", put(48, 0xFFFFFF), r"refers to type \[16777215\]"),
    "no such string": (".BTF.ext", put(36, 0xFFFFFF), "no string at 16777215"),
    "half a word": (".BTF.ext", lambda data: data + b"\0", "whole words"),
    "another row": (".rel.BTF", lambda data: struct.pack("<QQ", 4, 0) + data[16:], "relocates byte 4 of .BTF"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_clang_does_not_write_is_told(sample, name):
    section, edit, message = BROKEN[name]
    with pytest.raises((BtfError, ElfError), match=message) as caught:
        canonical_object(edited(strip_dwarf(sample()), section, edit), "x.bpf.o")
    assert str(caught.value).startswith("x.bpf.o: ")


def test_an_instruction_that_is_not_there_is_told(externs):
    elf = Elf.parse(externs)
    btf = Btf.parse(elf.section(".BTF").data)
    row = next(row for row in BtfExt.parse(elf.section(".BTF.ext").data, btf).relocations if row.kind == 6)
    cut = edited(externs, row.section, lambda data: data[: row.offset])
    with pytest.raises((BtfError, ElfError), match="which isn't there"):
        canonical_object(cut)


def canonical_or_error(data, edit=lambda data: data):
    started = time.process_time()
    try:
        made = canonical_object(edit(data))
    except (BtfError, ElfError):
        return
    assert canonical_object(made) == made
    assert time.process_time() - started < 2


@given(edits=EDITS, target=st.sampled_from(TARGETS))
@settings(max_examples=150, deadline=None)
def test_a_damaged_object_gives_an_error_or_a_result(sample, edits, target):
    canonical_or_error(mutate(strip_dwarf(sample(target)), edits))


@given(edits=EDITS, section=st.sampled_from((".BTF", ".BTF.ext")), target=st.sampled_from(TARGETS))
@settings(max_examples=200, deadline=None)
def test_damaged_sections_give_an_error_or_a_result(sample, edits, section, target):
    damage = lambda part: mutate(part, edits)  # noqa: E731
    canonical_or_error(strip_dwarf(sample(target)), lambda data: edited(data, section, damage))


WORD = st.one_of(st.integers(0, 12), st.builds(info, st.integers(0, 20), st.integers(0, 4), st.integers(0, 1)))


@given(words=st.lists(WORD, min_size=3, max_size=60))
@settings(max_examples=200, deadline=None)
def test_any_types_give_an_error_or_a_result(sample, words):
    strings, body = b"\0ab\0c\0d\0ef\0gh\0", struct.pack(f"<{len(words)}I", *words)
    btf = struct.pack("<HBB5I", 0xEB9F, 1, 0, 24, 0, len(body), len(body), len(strings)) + body + strings
    canonical_or_error(with_btf(sample(), btf))


def test_long_chains_and_long_names_take_no_long_time(sample):
    links = 20_000
    chain = [(0, info(Kind.PTR), number + 2) for number in range(links)] + [(0, info(Kind.PTR), 1)]
    canonical_or_error(with_btf(sample(), assemble(chain)))
    names = [(0, info(Kind.FWD), 0)] * links
    data = bytearray(assemble(names, ("", "x" * 60_000)))
    for number in range(links):
        struct.pack_into("<I", data, 24 + 12 * number, 1 + number)
    with pytest.raises(BtfError, match="strings inside one another"):
        canonical_object(with_btf(sample(), bytes(data)))
