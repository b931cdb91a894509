"""Functions made at run time: by the process's own perf map, and by no file that another user or kind of file is."""

import ctypes
import os

import bpfloader
import pytest
from bpfloader.symbols import perf_map
from bpfloader.symbols.perf_map import parse_perf_map, read_perf_map
from hypothesis import given
from hypothesis import strategies as st

ME = os.getpid()
MAP = f"/tmp/perf-{ME}.map"


@pytest.fixture
def code():
    """The address of memory of no file, and the perf map of this process, removed at the end."""
    buffer = ctypes.create_string_buffer(1 << 20)
    yield ctypes.addressof(buffer)
    if os.path.lexists(MAP):
        os.unlink(MAP)


def write(text):
    with open(MAP, "w") as file:
        file.write(text)


def test_functions_of_a_jit_and_those_that_come_later(code):
    symbols = bpfloader.UserSymbols()
    assert symbols.symbol(code + 0x10, ME).startswith(hex(code + 0x10))
    write(f"{code:x} 20 LazyCompile:~main /app.js:1\nbroken line\n{code + 0x40:x} 8 _ZN1aC1Ev\n")
    assert symbols.symbol(code + 0x10, ME) == f"LazyCompile:~main /app.js:1+0x10 [perf-{ME}.map]"
    assert symbols.symbol(code + 0x40, ME, offset=False) == f"a::a() [perf-{ME}.map]"
    assert symbols.symbol(code + 0x20, ME).startswith(hex(code + 0x20))
    write(f"{code:x} 20 Function:main /app.js:1\n" * 2 + f"{code + 0x20:x} 8 later\n")
    assert symbols.symbol(code + 0x20, ME) == f"later+0x0 [perf-{ME}.map]"
    os.unlink(MAP)
    assert symbols.symbol(code, ME) == f"Function:main /app.js:1+0x0 [perf-{ME}.map]"  # as of a process that has ended


@pytest.mark.parametrize(
    "lines, expected",
    [
        (["1000 100 old", "1100 100 older", "1000 200 new"], {0x1000: "new", 0x1150: "new", 0x11FF: "new", 0x1200: None}),
        (["1000 200 old", "1100 100 new"], {0x10FF: "old", 0x1100: "new", 0x1200: None}),
        (["1000 400 heap", "1100 100 stub"], {0x1000: "heap", 0x1150: "stub", 0x1350: "heap"}),
        (["1100 100 old", "1000 200 between", "1180 40 new"], {0x1100: "between", 0x1180: "new", 0x11C0: "between"}),
        (["1000 100 first", "1100 0 empty", "1100 100 second"], {0x10FF: "first", 0x1100: "second"}),
    ],
)
def test_memory_that_is_used_again_is_the_last_function_s(lines, expected):
    """A JIT compiler adds lines and takes none away (parca-dev/parca-agent #2016)."""
    found = parse_perf_map("\n".join(lines).encode() + b"\n")
    for address, name in expected.items():
        at = found.at_address(address)
        assert (at and at.name) == name
        assert not at or at.offset == address - max(int(line.split()[0], 16) for line in lines if line.endswith(f" {at.name}"))


def test_java_s_own_command_writes_numbers_with_a_prefix():
    """`jcmd PID Compiler.perfmap`, since Java 17 (grafana/pyroscope #4111)."""
    found = parse_perf_map(b"0x00007f2a4c5b3c80 0x0000000000000280 int java.lang.String.hashCode()\n7f2a4c5b4000 10 other\n")
    assert found.at_address(0x7F2A4C5B3C84) == ("int java.lang.String.hashCode()", 4)
    assert found.at_address(0x7F2A4C5B4000).name == "other"


def test_lines_that_are_added_are_read_alone(code, monkeypatch):
    """A compiler that is at work adds some all the time: each stack read all of the file again."""
    write("".join(f"{code + 64 * each:x} 40 first{each}\n" for each in range(1000)) + f"{code + 64000:x} 40 cut")
    symbols, sizes, parse = bpfloader.UserSymbols(), [], perf_map.parse_perf_map
    monkeypatch.setattr(perf_map, "parse_perf_map", lambda data, *more: sizes.append(len(data)) or parse(data, *more))

    def name(number):
        return symbols.symbol(code + 64 * number, ME, offset=False).partition(" ")[0]

    assert (name(0), name(999), name(1000)) == ("first0", "first999", "cut")
    with open(MAP, "a") as file:
        file.write(f" off\n{code + 64 * 1001:x} 40 second\n{code:x} 20 other\n")
    assert (name(1001), name(0), name(1000), name(5)) == ("second", "other", "cut", "first5")
    assert len(sizes) == 2 and sizes[1] < 100
    write("".join(f"{code + 64 * each:x} 40 again{each}\n" for each in range(3000)))
    assert (name(2000), name(5)) == ("again2000", "again5")  # written anew: another file
    with open(MAP, "a") as file:
        file.write("".join(f"{code + 64 * each:x} 40 many{each}\n" for each in range(3000, 12000)))
    assert (name(11999), name(5)) == ("many11999", "again5")


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 20)), max_size=30))
def test_each_address_is_the_last_line_s_that_has_it(functions):
    found = parse_perf_map("".join(f"{start:x} {size:x} f{line}\n" for line, (start, size) in enumerate(functions)).encode())
    last_at = {start: line for line, (start, _) in enumerate(functions)}  # a line at the same start replaces the one before
    for address in range(90):
        lines = [line for line, (start, size) in enumerate(functions) if start <= address < start + size and last_at[start] == line]
        at = found.at_address(address)
        assert (at and at.name) == (f"f{lines[-1]}" if lines else None)


def test_an_end_of_a_function_is_the_caller_of_a_stack(code):
    write(f"{code:x} 20 first\n{code + 0x20:x} 20 second\n")
    names = bpfloader.UserSymbols().symbols((code + 0x20, code + 0x20), ME, stack=True)
    assert names == (f"second+0x0 [perf-{ME}.map]", f"first+0x20 [perf-{ME}.map]")


def test_another_user_s_file_and_what_is_no_file_are_refused(code, tmp_path):
    write(f"{code:x} 20 name\n")
    assert read_perf_map(ME) is not None
    if os.geteuid() == 0:
        os.chown(MAP, 65534, 65534)
        assert read_perf_map(ME) is None
    os.unlink(MAP)
    os.mkfifo(MAP)
    assert read_perf_map(ME) is None
    os.unlink(MAP)
    os.symlink("/dev/zero", MAP)
    assert read_perf_map(ME) is None
    assert read_perf_map(2**22 + 1) is None


def test_a_long_file_is_read_from_its_end(code, monkeypatch):
    monkeypatch.setattr(perf_map, "MAX_BYTES", 64)
    write("".join(f"{number:x} 1 f{number}\n" for number in range(1, 1000)))
    found = read_perf_map(ME)
    assert found.at_address(999).name == "f999" and found.at_address(1) is None


@given(st.binary(max_size=300) | st.lists(st.tuples(st.integers(0, 2**64), st.integers(0, 2**64), st.text(max_size=5))).map(
    lambda rows: "".join(f"{start:x} {size:x} {name}\n" for start, size, name in rows).encode("utf-8", "replace")), st.integers(0, 2**64))  # fmt: skip
def test_any_file_is_read_or_left_alone(data, address):
    found = parse_perf_map(data)
    assert len(found.starts) == len(found.pieces) and found.starts == sorted(found.starts)
    for place in (address, *found.starts):
        function = found.at_address(place)
        assert function is None or (function.offset >= 0 and "\n" not in function.name)
