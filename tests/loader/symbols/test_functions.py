"""Functions of files that somebody damaged or made up: found, or refused, soon and without another error."""

import struct
import tempfile
import time

import pytest
from bpfloader.symbols.binary import Binary, find_binary
from bpfloader.symbols.functions import MAX_CANDIDATES, Ambiguous, find_functions, implementations, versions_of
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

WANTED = "realpath", "realpath@GLIBC_2.2.5", "cluster::front", "cos", "a"


def opened(data: bytes) -> Binary:
    file = tempfile.TemporaryFile()
    file.write(data)
    file.seek(0)
    return Binary(file)


@pytest.fixture(scope="module")
def libc() -> bytes:
    """The head of libc, with its dynamic symbols and versions, and its section headers behind."""
    with open(find_binary("libc.so.6"), "rb") as file:
        return file.read()


def small_elf(names: bytes, rows: bytes) -> bytes:
    """A 64-bit file with a symbol table of these names and rows, and one section of code."""
    code, size = b"\x90" * 64, len(names) + len(rows)
    table = struct.Struct("<IIQQQQIIQQ")
    sections = [table.pack(*[0] * 10), table.pack(0, 3, 0, 0, 64, len(names), 0, 0, 1, 0),
                table.pack(0, 2, 0, 0, 64 + len(names), len(rows), 1, 0, 8, 24),
                table.pack(0, 1, 4, 0x1000, 64 + size, len(code), 0, 0, 1, 0)]  # fmt: skip
    head = b"\x7fELF\2\1\1".ljust(16, b"\0")
    head += struct.pack("<HHIQQQIHHHHHH", 3, 62, 1, 0, 0, 64 + size + len(code), 0, 64, 0, 0, 64, len(sections), 0)
    return head + names + rows + code + b"".join(sections)


def row(name: int, address: int, kind: int = 0x12, section: int = 3) -> bytes:
    return struct.pack("<IBBHQQ", name, kind, 0, section, address, 4)


def test_the_end_of_a_longer_name_is_a_name():
    """Linkers let two names share their end; and a name that is only written there is nobody's."""
    binary = opened(small_elf(b"\0xwork\0", row(2, 0x1010) + row(1, 0x1020)))
    assert [place.offset for place in find_functions(binary, "work")] == [64 + 7 + 48 + 0x10]
    assert find_functions(binary, "ork") == [] == find_functions(binary, "wor")


def test_several_functions_of_a_name():
    """A global one goes before a file's own; of two equal ones none is meant; outside of code there is none."""
    names = b"\0work\0"
    two = small_elf(names, row(1, 0x1000, 0x02) + row(1, 0x1008, 0x12))
    assert len(find_functions(opened(two), "work")) == 1
    with pytest.raises(Ambiguous) as caught:
        find_functions(opened(small_elf(names, row(1, 0x1000, 0x02) + row(1, 0x1008, 0x02))), "work")
    assert len(caught.value.places) == 2
    assert len(find_functions(opened(small_elf(names, row(1, 0x1000) + row(1, 0x1000, 0x22))), "work")) == 1
    for outside in (row(1, 0x2000), row(1, 0x10), row(1, 0x1000, section=0), row(1, 0x1000, section=9), row(1, 0x1000, 0x11)):
        assert find_functions(opened(small_elf(names, outside)), "work") == []


def test_versions_in_the_table_of_the_whole_file():
    binary = opened(small_elf(b"\0f@V1\0f@@V2\0", row(1, 0x1000) + row(6, 0x1008)))
    assert [str(place)[:6] for place in versions_of(binary, "f@V3")] == ["f@@V2 ", "f@V1 ("]
    assert find_functions(binary, "f") == find_functions(binary, "f@V2") != find_functions(binary, "f@V1")
    assert find_functions(binary, "f@V3") == []


def test_a_file_of_nothing_but_one_name_is_read_soon():
    """A hostile one, in a container: a million rows of one name, and names that contain each other."""
    rows = row(1, 0x1000) * 300_000
    started = time.process_time()
    for names, wanted in ((b"\0" + b"a" * 500_000 + b"\0", "a"), (b"\0" + b"a\0" * 500_000, "a"),
                          (b"\0_Z" + b"1a" * 500_000 + b"\0", "b::a"), (b"\0" + b"_Z1a\0" * 200_000, "b::a")):  # fmt: skip
        assert len(find_functions(opened(small_elf(names, rows)), wanted)) <= MAX_CANDIDATES
    assert time.process_time() - started < 5


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(edits=st.lists(st.tuples(st.integers(0, 1 << 16), st.binary(min_size=1, max_size=8)), min_size=1, max_size=4), tail=st.booleans())
@example(edits=[(0, b"\x7fELF")], tail=False)
def test_a_damaged_library_gives_functions_or_a_value_error(libc, edits, tail):
    data = bytearray(libc)
    for place, junk in edits:
        start = len(data) - 1 - place % 5000 if tail else place
        data[start : start + len(junk)] = junk
    try:
        binary = opened(bytes(data))
        for name in WANTED:
            for place in [*find_functions(binary, name), *versions_of(binary, name), *implementations(binary, name)]:
                assert 0 <= place.offset < len(data) and str(place)
    except ValueError:
        pass
