"""BTF: kinds, sizes, names and C text of real objects of both byte orders."""

import json
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from btfwriter import assemble, info
from ebpfbuild.btf.reader import Btf
from ebpfbuild.btf.c_text import declaration, definition
from ebpfbuild.btf.types import LAYOUTS, Enumerator, Kind, Member
from ebpfbuild.elf.reader import Elf
from ebpfbuild.errors import BtfError

TARGETS = ("bpfel", "bpfeb")
KERNEL = Path("/sys/kernel/btf/vmlinux")


def section(data):
    return Elf.parse(data).section(".BTF").data


@pytest.fixture(params=TARGETS)
def btf(request, sample):
    return Btf.parse(section(sample(request.param)), request.param)


def test_every_kind_that_clang_emits_is_in_the_sample(btf):
    assert {kind.kind for kind in btf} == set(LAYOUTS)


def test_a_struct(btf):
    event = btf.find("event", Kind.STRUCT)
    assert event.size == 88
    members = {member.name: member for member in event.members}
    assert list(members) == ["time", "key", "zone", "", "flags", "huge", "chill", "note", "next", "ratio"]
    assert (members["key"].offset, btf.size_of(members["key"].type)) == (8, 7)
    assert btf.size_of(members["zone"].type) == 8
    assert [tag.name for tag in btf.tags(event.id)] == ["shown"]
    assert btf.tags(event.id)[0].component == -1


def test_a_bitfield_has_its_bits_and_its_place(btf):
    bits = [(member.name, member.bits) for member in btf.find("flags", Kind.STRUCT).members]
    assert bits == [("ready", 1), ("depth", 7), ("level", 8)]
    places = [member.bit_offset for member in btf.find("flags", Kind.STRUCT).members]
    assert places == [0, 1, 8]


def test_an_enum_has_its_values_size_and_sign(btf):
    assert btf.find("huge").values == (Enumerator("HUGE_ONE", 1), Enumerator("HUGE_LAST", 0x1FFFFFFFF))
    assert btf.find("chill").values == (Enumerator("CHILL_COLD", -5), Enumerator("CHILL_WARM", 5))
    assert (btf.find("side").size, btf.find("chill").signed, btf.find("side").signed) == (1, True, False)


def test_wide_negative_enumerators_and_old_bitfields():
    rows = [
        (1, info(Kind.ENUM64, 1, 1), 8, 6, 0xFFFFFFFE, 0xFFFFFFFF),
        (3, info(Kind.INT), 4, 4 << 16 | 3),
        (1, info(Kind.STRUCT, 1), 4, 6, 2, 4),
    ]
    btf = Btf.parse(assemble(rows, ("", "name", "field", "bits")))
    assert btf[1].values == (Enumerator("field", -2),)
    assert (btf[2].bit_offset, btf[2].bits) == (4, 3)
    assert btf[3].members == (Member("field", 2, 4, 0),)


def test_sizes_and_alignments(btf):
    by_name = {name: btf.find(name, Kind.STRUCT).id for name in ("event", "key", "odd", "flags", "tcp_ops")}
    assert {name: btf.size_of(number) for name, number in by_name.items()} == {
        "event": 88, "key": 7, "odd": 64, "flags": 4, "tcp_ops": 40,
    }  # fmt: skip
    assert {name: btf.align_of(number) for name, number in by_name.items()} == {
        "event": 8, "key": 1, "odd": 8, "flags": 4, "tcp_ops": 8,
    }  # fmt: skip
    assert btf.size_of(0) == 0
    assert btf.size_of(btf.find("wanted", Kind.VAR).id) == 7


def test_a_pointer_is_as_wide_as_it_is_told():
    data = assemble([(0, info(Kind.PTR), 0), (0, info(Kind.ARRAY), 0, 1, 1, 3)])
    assert [Btf.parse(data, pointer=width).size_of(2) for width in (4, 8)] == [12, 24]


def test_resolve_and_find(btf):
    wanted = btf.find("wanted", Kind.VAR)
    assert btf[wanted.type].kind == Kind.CONST
    assert btf.resolve(wanted.type).name == "key"
    assert btf.find("key", Kind.UNION) is None
    assert btf.find("no such name") is None
    assert [kind.kind for kind in btf.named("sock", Kind.STRUCT)] == [Kind.STRUCT]


def test_a_type_is_written_as_its_c_declaration(btf):
    odd = btf.find("odd", Kind.STRUCT)
    assert definition(btf, odd.id).splitlines() == [
        "struct odd {",
        "\tstruct nowhere *nowhere;",
        "\tunion nothing *nothing;",
        "\tchar *restrict alone;",
        '\t__attribute__((btf_type_tag("user"))) int *tagged;',
        "\tint (*handler)(struct odd *, const char *, ...);",
        "\tint grid[2][3];",
        "\t__u8 tail[];",
        "};",
    ]
    assert definition(btf, btf.find("flags", Kind.STRUCT).id).splitlines()[1] == "\tunsigned int ready: 1;"
    assert definition(btf, btf.find("side").id) == "enum side {\n\tSIDE_CLIENT = 1,\n\tSIDE_SERVER = 2,\n};"
    assert definition(btf, btf.find("__u64").id) == "typedef unsigned long long __u64;"
    assert declaration(btf, btf.find("wanted", Kind.VAR).type, "wanted") == "const volatile struct key wanted"
    assert declaration(btf, btf.find("shared_step", Kind.FUNC).id, "shared_step") == "int shared_step(int x)"
    assert declaration(btf, 0) == "void"


def test_bpftool_reads_the_same(sample, tmp_path):
    tool = shutil.which("bpftool")
    if not tool:
        pytest.skip("there is no bpftool to compare with")
    (tmp_path / "x.o").write_bytes(sample())
    dump = subprocess.run([tool, "-j", "btf", "dump", "file", tmp_path / "x.o"], capture_output=True, check=True)
    btf = Btf.parse(section(sample()))
    theirs = json.loads(dump.stdout)["types"]
    assert len(theirs) == len(btf) - 1
    for row in theirs:
        kind = btf[row["id"]]
        assert (kind.kind.name, kind.name) == (row["kind"], row["name"].replace("(anon)", ""))
        assert kind.size == row.get("size", 0) or kind.kind == Kind.DATASEC
        for name, ours in (("type_id", kind.type), ("ret_type_id", kind.type)):
            assert row.get(name, ours) == ours
        assert [(m["name"].replace("(anon)", ""), m["type_id"], m["bits_offset"]) for m in row.get("members", ())] == [
            (member.name, member.type, member.bit_offset) for member in kind.members
        ]
        assert [(value["name"], value["val"]) for value in row.get("values", ())] == list(kind.values)
        assert [p["type_id"] for p in row.get("params", ())] == [p.type for p in kind.params]
        assert [(v["type_id"], v["offset"], v["size"]) for v in row.get("vars", ())] == list(kind.variables)
        if kind.kind == Kind.ARRAY:
            assert (row["index_type_id"], row["nr_elems"]) == (kind.index_type, kind.length)
        if kind.kind == Kind.INT:
            assert (row["nr_bits"], row["encoding"] == "SIGNED") == (kind.bits, kind.signed)


def test_the_running_kernel_is_read_soon_enough():
    if not KERNEL.exists():
        pytest.skip("this kernel shows no BTF")
    data = KERNEL.read_bytes()
    started = time.process_time()
    btf = Btf.parse(data)
    sock = btf.find("sock", Kind.STRUCT)
    assert time.process_time() - started < 3  # 0.6 s here; more means that something became quadratic
    assert btf.size_of(sock.id) > 300
    assert sock.members[0].name == "__sk_common"


CYCLES = {
    "typedef": ([(1, info(Kind.TYPEDEF), 2), (1, info(Kind.CONST), 1)], (Btf.resolve, Btf.size_of, Btf.align_of)),
    "array": ([(0, info(Kind.ARRAY), 0, 1, 1, 3)], (declaration, Btf.size_of, Btf.align_of)),
    "pointer": ([(0, info(Kind.PTR), 1)], (declaration,)),
    "prototype": ([(0, info(Kind.FUNC_PROTO, 2), 1, 0, 1, 0, 1)], (declaration,)),
    "struct": ([(1, info(Kind.STRUCT, 2), 8, 0, 1, 0, 0, 1, 32)], (Btf.align_of,)),
}


@pytest.mark.parametrize("name", CYCLES)
def test_a_cycle_ends_in_an_error(name):
    types, asks = CYCLES[name]
    for ask in asks:
        with pytest.raises(BtfError, match="more than"):
            ask(Btf.parse(assemble(types, ("", "x"))), 1)
