""".BTF.ext: functions, lines and CO-RE relocations of real objects; an error or a result for any bytes."""

import struct
import time

import pytest
from ebpfbuild.btf.reader import Btf
from ebpfbuild.btf.ext import BtfExt, CoreKind, CoreRelocation, FuncInfo, access_path
from ebpfbuild.elf.reader import Elf
from ebpfbuild.errors import BtfError
from fuzzing import EDITS, mutate
from hypothesis import given, settings
from hypothesis import strategies as st

TARGETS = ("bpfel", "bpfeb")
CORE = """#include "mini_bpf.h"
enum state { LISTEN = 10, CLOSED = 7 };
struct part { int first; struct { int deep[4]; union { int left; long right; }; }; } __core;
struct whole { long head; struct part parts[3]; unsigned bits : 5; } __core;
typedef struct whole whole_t;
SEC("raw_tp/x") int core(struct whole *w)
{
	__u64 sum = w[1].parts[2].deep[3] + w->parts[1].right + w->bits;
	sum += __builtin_preserve_field_info(w->head, 2) + __builtin_preserve_type_info(*(whole_t *)0, 1);
	sum += __builtin_preserve_enum_value(*(enum state *)CLOSED, 0) + __builtin_btf_type_id(*(struct part *)0, 1);
	return sum;
}
char LICENSE[] SEC("license") = "GPL";
"""


def read(data):
    elf = Elf.parse(data)
    btf = Btf.parse(elf.section(".BTF").data)
    return btf, BtfExt.parse(elf.section(".BTF.ext").data, btf, "x.bpf.o: .BTF.ext")


@pytest.mark.parametrize("target", TARGETS)
def test_functions_are_where_the_symbols_are(sample, target):
    btf, ext = read(sample(target))
    elf = Elf.parse(sample(target))
    expected = {(elf.sections[s.section].name, s.value, s.name) for s in elf.symbols if s.type == 2}
    assert {(row.section, row.offset, btf[row.type].name) for row in ext.funcs} == expected


@pytest.mark.parametrize("target", TARGETS)
def test_lines_are_the_sources(sample, target):
    _, ext = read(sample(target))
    first = next(row for row in ext.lines if row.section == "fentry.s/security_file_open")
    assert first.file == "./prog.bpf.c"
    assert first.text == "\treturn shared_step(bpf_get_current_pid_tgid());"
    assert first.column == first.text.index("bpf_get") + 1


@pytest.mark.parametrize("target", TARGETS)
def test_core_relocations_read_as_names(compile_bpf, target):
    btf, ext = read(compile_bpf(CORE, target))
    found = {(row.kind.name, access_path(btf, row)) for row in ext.relocations}
    assert found == {
        ("FIELD_BYTE_OFFSET", "struct whole: [1].parts[2].deep[3]"),
        ("FIELD_BYTE_OFFSET", "struct whole: parts[1].right"),
        ("FIELD_BYTE_OFFSET", "struct whole: bits"),
        ("FIELD_EXISTS", "struct whole: head"),
        ("TYPE_SIZE", "whole_t"),
        ("ENUMVAL_EXISTS", "enum state: CLOSED"),
        ("TYPE_ID_TARGET", "struct part"),
    }


def header(order="<", start=32, tables=(0, 0, 0, 0, 0, 0), magic=0xEB9F, version=1):
    return struct.pack(order + "HBBI6I", magic, version, 0, start, *tables)


BTF = Btf.parse(
    struct.pack("<HBB5I", 0xEB9F, 1, 0, 24, 0, 12, 12, 7) + struct.pack("<3I", 0, 2 << 24, 0) + b"\0text\0\0"
)


def test_longer_headers_and_records_of_later_versions_are_read():
    table = struct.pack("<I", 12) + struct.pack("<II", 1, 1) + struct.pack("<III", 8, 1, 99)
    data = header(start=40, tables=(0, len(table), 0, 0, 0, 0)) + bytes(8) + table
    assert BtfExt.parse(data, BTF).funcs == (FuncInfo("text", 8, 1),)


def test_a_header_before_core_is_read():
    data = header(start=24)[:24]
    assert BtfExt.parse(data, BTF).relocations == ()


def table(*words):
    return struct.pack(f"<{len(words)}I", *words)


BROKEN = {
    "short": (bytes(10), "has 10 bytes"),
    "magic": (header(magic=1), "starts with 0100"),
    "other order": (header(order=">"), "not its BTF's byte order"),
    "header": (header(start=400), "header of 400 bytes in 32"),
    "cut": (header(tables=(0, 8, 0, 0, 0, 0)), "a table ends after it"),
    "width": (header(tables=(0, 4, 0, 0, 0, 0)) + table(4), "records of 4 bytes, not 8"),
    "head": (header(tables=(0, 8, 0, 0, 0, 0)) + table(8, 1), "inside a section's head"),
    "count": (header(tables=(0, 12, 0, 0, 0, 0)) + table(8, 1, 1), "1 records that ends after"),
    "type": (header(tables=(0, 20, 0, 0, 0, 0)) + table(8, 1, 1, 0, 77), r"no type \[77\]"),
    "string": (header(tables=(0, 12, 0, 0, 0, 0)) + table(8, 70, 0), "no string at 70"),
    "kind": (header(tables=(0, 0, 0, 0, 0, 28)) + table(16, 1, 1, 0, 1, 0, 13), "unknown kind 13"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_data_is_told_by_what_is_wrong(name):
    data, message = BROKEN[name]
    with pytest.raises(BtfError, match=message):
        BtfExt.parse(data, BTF)


@pytest.mark.parametrize("access", ["", "x", "0:", "-1", "0:9", "0:0:0", ":".join("0" * 65), "0:" + "9" * 20])
def test_an_access_that_its_type_does_not_have(compile_bpf, access):
    btf, _ = read(compile_bpf(CORE))
    relocation = CoreRelocation("x", 0, btf.find("whole").id, access, CoreKind.FIELD_BYTE_OFFSET)
    with pytest.raises(BtfError, match="CO-RE"):
        access_path(btf, relocation)


@given(edits=EDITS, target=st.sampled_from(TARGETS))
@settings(max_examples=250, deadline=None)
def test_damaged_data_gives_an_error_or_a_result(sample, edits, target):
    elf = Elf.parse(sample(target))
    btf = Btf.parse(elf.section(".BTF").data)
    started = time.process_time()
    try:
        ext = BtfExt.parse(mutate(elf.section(".BTF.ext").data, edits), btf)
        for row in ext.relocations:
            access_path(btf, row)
    except BtfError:
        pass
    assert time.process_time() - started < 1
