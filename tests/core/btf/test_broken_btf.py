"""Broken BTF: told by what is wrong; an error or a result for any bytes, soon."""

import struct
import time

import pytest
from btfwriter import assemble, info
from ebpfbuild.btf.reader import Btf
from ebpfbuild.btf.c_text import declaration, definition
from ebpfbuild.btf.types import Kind
from ebpfbuild.elf.reader import Elf
from ebpfbuild.errors import BtfError
from fuzzing import EDITS, mutate
from hypothesis import given, settings
from hypothesis import strategies as st

BROKEN = {
    "empty": (b"", "has 0 bytes"),
    "no magic": (b"\1\2\3" + bytes(40), "starts with 010203"),
    "next version": (struct.pack("<HBB5I", 0xEB9F, 2, 0, 24, 0, 0, 0, 1) + b"\0", "no BTF of version 1"),
    "cut": (assemble([(0, info(Kind.PTR), 0)])[:-1], "is cut short"),
    "no strings": (struct.pack("<HBB5I", 0xEB9F, 1, 0, 24, 0, 0, 0, 0), "begin and end with a NUL"),
    "half a word": (struct.pack("<HBB5I", 0xEB9F, 1, 0, 24, 0, 2, 2, 1) + b"\0\0\0", "no whole words"),
    "half a head": (assemble([(0, info(Kind.PTR))]), r"inside the head of type \[1\]"),
    "half a body": (assemble([(0, info(Kind.ARRAY), 0, 1)]), r"ends inside type \[1\]"),
    "too few members": (assemble([(0, info(Kind.STRUCT, 9), 0, 0, 0, 0)]), r"ends inside type \[1\]"),
    "unknown kind": (assemble([(0, info(20), 0)]), r"type \[1\] of kind 20"),
    "no such type": (assemble([(0, info(Kind.PTR), 7)]), r"refers to type \[7\] of 2"),
    "no such member type": (assemble([(0, info(Kind.STRUCT, 1), 0, 0, 9, 0)]), r"refers to type \[9\]"),
    "no such element type": (assemble([(0, info(Kind.ARRAY), 0, 0, 5, 1)]), r"refers to type \[5\]"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_btf_is_told_by_what_is_wrong(name):
    data, message = BROKEN[name]
    with pytest.raises(BtfError, match=message) as caught:
        Btf.parse(data, "x.bpf.o: .BTF")
    assert str(caught.value).startswith("x.bpf.o: .BTF: ")


def test_a_name_past_the_strings_is_told():
    data = bytearray(assemble([(0, info(Kind.PTR), 0)]))
    struct.pack_into("<I", data, 24, 999)
    with pytest.raises(BtfError, match="a name at 999"):
        Btf.parse(bytes(data))


def test_an_id_that_there_is_not():
    with pytest.raises(BtfError, match=r"has no type \[5\]"):
        Btf.parse(assemble([]))[5]


def read_all(data):
    """Everything that a Btf tells of some bytes; BtfError is a result as well."""
    started = time.process_time()
    try:
        btf = Btf.parse(data)
    except BtfError:
        return
    for kind in btf:
        assert len(kind.members) + len(kind.values) + len(kind.params) + len(kind.variables) <= kind.count
        for ask in (Btf.size_of, Btf.align_of, Btf.resolve, definition, declaration):
            try:
                ask(btf, kind.id)
            except BtfError:
                pass
    assert time.process_time() - started < 1


@given(st.binary(max_size=400))
@settings(max_examples=200, deadline=None)
def test_any_bytes_give_an_error_or_a_result(data):
    read_all(data)
    size = len(data) // 4 * 4
    for order in "<>":
        read_all(struct.pack(order + "HBB5I", 0xEB9F, 1, 0, 24, 0, size, size, 2) + data[:size] + b"\0\0")


WORD = st.one_of(st.integers(0, 12), st.builds(info, st.integers(0, 20), st.integers(0, 4), st.integers(0, 1)))


@given(st.lists(WORD, min_size=3, max_size=60))
@settings(max_examples=300, deadline=None)
def test_any_types_give_an_error_or_a_result(words):
    strings = b"\0abcdefghijkl\0"
    body = struct.pack(f"<{len(words)}I", *words)
    read_all(struct.pack("<HBB5I", 0xEB9F, 1, 0, 24, 0, len(body), len(body), len(strings)) + body + strings)


@given(edits=EDITS, target=st.sampled_from(("bpfel", "bpfeb")))
@settings(max_examples=200, deadline=None)
def test_damaged_btf_gives_an_error_or_a_result(sample, edits, target):
    read_all(mutate(Elf.parse(sample(target)).section(".BTF").data, edits))
