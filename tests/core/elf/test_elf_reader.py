"""ELF: what is read from a real object, and that nothing else than a result or an ElfError comes of any bytes."""

import struct
import time

import pytest
from ebpfbuild.elf.reader import R_BPF_64_64, SHT_NOBITS, STB_GLOBAL, STT_FUNC, Elf
from ebpfbuild.errors import ElfError
from fuzzing import EDITS, mutate
from hypothesis import given, settings
from hypothesis import strategies as st

TARGETS = ("bpfel", "bpfeb")


@pytest.mark.parametrize("target", TARGETS)
def test_sections_symbols_and_relocations_are_read(sample, target):
    elf = Elf.parse(sample(target))
    assert elf.little == (target == "bpfel")
    assert elf.section("license").data == b"GPL\0"
    bss = elf.section(".bss")
    assert (bss.type, bss.size, bss.data) == (SHT_NOBITS, 88, b"")
    text = elf.section("xdp")
    functions = [s for s in elf.symbols_in(text) if s.type == STT_FUNC]
    assert [(s.name, s.value) for s in functions] == [("xdp_first", 0), ("xdp_second", 24)]
    assert {s.bind for s in functions} == {STB_GLOBAL}
    maps = [elf.symbols[row.symbol].name for row in elf.relocations(text) if row.type == R_BPF_64_64]
    assert maps == ["raw", "outer", "events", "jumps"]


def test_a_section_that_is_not_there(sample):
    elf = Elf.parse(sample())
    assert elf.section("nowhere") is None
    assert elf.relocations(elf.section("license")) == ()


def patched(data, place, layout, value):
    out = bytearray(data)
    struct.pack_into("<" + layout, out, place, value)
    return bytes(out)


BROKEN = {
    "empty": (lambda data: b"", "is no ELF file"),
    "text": (lambda data: b"int main(void);" * 10, "is no ELF file"),
    "32 bit": (lambda data: patched(data, 4, "B", 1), "is no 64-bit ELF file"),
    "no byte order": (lambda data: patched(data, 5, "B", 3), "known byte order"),
    "x86": (lambda data: patched(data, 18, "H", 62), "for machine 62"),
    "executable": (lambda data: patched(data, 16, "H", 2), "ELF type 2"),
    "cut in the headers": (lambda data: data[:-1], "section headers end after the file"),
    "headers beyond the end": (lambda data: patched(data, 40, "Q", 1 << 63), "section headers end after the file"),
    "no sections": (lambda data: patched(data, 60, "H", 0), "has 0 section headers"),
    "odd header size": (lambda data: patched(data, 58, "H", 40), "of 40 bytes"),
    "names in a section that isn't there": (lambda data: patched(data, 62, "H", 9999), "names in number 9999"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_told_by_what_is_wrong(sample, name):
    damage, message = BROKEN[name]
    with pytest.raises(ElfError, match=message) as caught:
        Elf.parse(damage(sample()), "x.bpf.o")
    assert str(caught.value).startswith("x.bpf.o: ")


def header_place(data, name):
    """Where the header of a section lies in a little-endian file."""
    elf = Elf.parse(data)
    return struct.unpack_from("<Q", data, 40)[0] + 64 * elf.section(name).index


SECTION_DAMAGE = {
    "ends after the file": ("xdp", 32, "Q", 1 << 40, "ends after the file"),
    "name beyond the table": ("xdp", 0, "I", 1 << 20, "past the string table"),
    "links to nothing": (".symtab", 40, "I", 500, "refers to section 500"),
    "relocates nothing": (".relxdp", 44, "I", 500, "refers to section 500"),
    "odd symbol size": (".symtab", 56, "Q", 23, "in entries of 23, not 24"),
    "with addends": (".relxdp", 4, "I", 4, "of type 4"),
    "odd alignment": ("xdp", 48, "Q", 3, "aligned to 3"),
    "huge alignment": ("xdp", 48, "Q", 1 << 62, "aligned to"),
    "second symbol table": ("license", 4, "I", 2, "license of 4 bytes in entries of 0"),
    "overlap": ("xdp", 32, "Q", 20000, "overlap"),
}


@pytest.mark.parametrize("name", SECTION_DAMAGE)
def test_a_broken_section_is_told_by_what_is_wrong(sample, name):
    section, place, layout, value, message = SECTION_DAMAGE[name]
    data = sample()
    place += header_place(data, section)
    with pytest.raises(ElfError, match=message):
        Elf.parse(patched(data, place, layout, value))


def test_a_relocation_must_name_a_symbol_and_lie_in_its_section(sample):
    data = sample()
    elf = Elf.parse(data)
    rows = elf.section(".relxdp").offset
    for place, layout, value, message in ((rows + 12, "I", 5000, "symbol 5000"), (rows, "Q", 5000, "lies outside")):
        broken = Elf.parse(patched(data, place, layout, value))
        with pytest.raises(ElfError, match=message):
            broken.relocations(broken.section("xdp"))


def read_all(data):
    """Everything that an Elf gives of some bytes; ElfError is a result as well."""
    started = time.process_time()
    try:
        elf = Elf.parse(data)
        for section in elf.sections:
            elf.relocations(section)
            elf.symbols_in(section)
    except ElfError:
        pass
    assert time.process_time() - started < 1


@given(st.binary(max_size=600))
@settings(max_examples=200, deadline=None)
def test_any_bytes_give_an_error_or_a_result(data):
    read_all(data)
    read_all(b"\x7fELF\x02\x01\x01" + data)
    read_all(b"\x7fELF\x02\x02\x01" + bytes(9) + b"\0\1\0\xf7" + data)


@given(edits=EDITS, target=st.sampled_from(TARGETS), part=st.sampled_from(("all", "head", "tail")))
@settings(max_examples=300, deadline=None)
def test_a_damaged_object_gives_an_error_or_a_result(sample, edits, target, part):
    data = sample(target)
    tail = len(data) - 64 * len(Elf.parse(data).sections)
    start, end = {"all": (0, len(data)), "head": (0, 64), "tail": (tail, len(data))}[part]
    read_all(data[:start] + mutate(data[start:end], edits) + data[end:])
