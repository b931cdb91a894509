"""Binaries of another width and byte order than this machine's, and broken ones: read, or told as such."""

import contextlib
import struct
import tempfile

import pytest
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
