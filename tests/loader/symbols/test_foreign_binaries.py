"""Binaries of another width and byte order than this machine's, and broken ones: read, or told as such."""

import contextlib
import errno
import struct
import tempfile

import pytest
from bpfloader.diagnose.refusal import attach_refused
from bpfloader.errors import CallError
from bpfloader.symbols.binary import Binary
from hypothesis import given
from hypothesis import strategies as st


@pytest.fixture(scope="module")
def big_endian() -> bytes:
    """A 32-bit big-endian binary with one function of its own and one of others."""
    names = b"\0here\0gone@V1\0"
    symbols = struct.pack(">IIIBBH", 1, 0, 0, 18, 0, 1) + struct.pack(">IIIBBH", 6, 0, 0, 18, 0, 0)
    places = 52, 52 + len(names), 52 + len(names) + len(symbols)
    rows = struct.pack(">10I", *[0] * 10)
    rows += struct.pack(">10I", 0, 3, 0, 0, places[0], len(names), 0, 0, 1, 0)
    rows += struct.pack(">10I", 0, 2, 0, 0, places[1], len(symbols), 1, 0, 4, 16)
    places_and_counts = 0, 0, places[2], 0, 52, 0, 0, 40, 3, 0
    head = b"\x7fELF\1\2\1".ljust(16, b"\0") + struct.pack(">HHIIIIIHHHHHH", 3, 20, 1, *places_and_counts)
    return head + names + symbols + rows


def arm_binary(address: int) -> bytes:
    """A program for arm with a function `here` at an address in its .text, which begins at 0x100."""
    names = b"\0here\0"
    symbols = bytes(16) + struct.pack("<IIIBBH", 1, address, 4, 18, 0, 3)
    places = 52, 52 + len(names), 52 + len(names) + len(symbols)
    rows = struct.pack("<10I", *[0] * 10)
    rows += struct.pack("<10I", 0, 3, 0, 0, places[0], len(names), 0, 0, 1, 0)
    rows += struct.pack("<10I", 0, 2, 0, 0, places[1], len(symbols), 1, 0, 4, 16)
    rows += struct.pack("<10I", 0, 1, 6, 0x100, 0, 52, 0, 0, 4, 0)
    head = b"\x7fELF\1\1\1".ljust(16, b"\0") + struct.pack("<HHIIIIIHHHHHH", 2, 40, 1, 0, 0, places[2], 0, 52, 0, 0, 40, 4, 0)
    return head + names + symbols + rows


@pytest.mark.parametrize(("address", "told"), [(0x111, True), (0x110, False)])
def test_a_uprobe_in_thumb_code_is_explained(tmp_path, address, told):
    (tmp_path / "app").write_bytes(arm_binary(address))
    request = {"binary": str(tmp_path / "app"), "function": "here"}
    error = attach_refused("probe", CallError("failed", errno=errno.EINVAL), [], "uprobe", request)
    what = f"here of {tmp_path / 'app'} is Thumb code, and kernels for arm place uprobes in ARM code alone; build it with -marm"
    assert (what in f"{error.what}; {error.fix}") is told


def read_binary(data: bytes):
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.seek(0)
        found = Binary(file)
        return found.symbols(), found.probes()


def test_a_binary_of_another_width_and_byte_order(big_endian):
    assert read_binary(big_endian) == (({"here"}, set(), {"gone"}), set())


@given(cut=st.integers(0, 300), place=st.integers(0, 300), byte=st.integers(0, 255))
def test_a_broken_binary_is_told_as_such(big_endian, cut, place, byte):
    data = bytearray(big_endian[:cut])
    data[place : place + 1] = bytes([byte])[: max(0, len(data) - place)]
    with contextlib.suppress(ValueError):
        read_binary(bytes(data))
