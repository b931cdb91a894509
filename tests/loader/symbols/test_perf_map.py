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
    assert len(found.starts) == len(found.rows) and found.starts == sorted(found.starts)
    for place in (address, *found.starts):
        function = found.at_address(place)
        assert function is None or (function.offset >= 0 and "\n" not in function.name)
