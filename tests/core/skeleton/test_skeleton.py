"""The generated skeleton: its text as golden files, and its classes against the bytes that clang lays out."""

import importlib.util
import inspect
import os
import re
import subprocess
import sys
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import bpfloader
import pytest
from ebpfbuild.errors import EbpfError, ElfError, SkeletonError
from ebpfbuild.spec.object import ObjectSpec
from ebpfbuild.skeleton.skeleton import render, skeleton
from hypothesis import given, settings
from hypothesis import strategies as st
from skeleton_module import TARGETS, initial, module_of
from slow import slow_after

TESTDATA = Path(__file__).resolve().parents[2] / "testdata"
GOLDEN = TESTDATA / "skeleton"
EVENTS = {"by_option": "struct point"}


@pytest.fixture(scope="session", params=TARGETS)
def every(request, compile_bpf):
    """The rich object for either byte order, its skeleton's text, the arch."""
    data = compile_bpf(GOLDEN / "every.bpf.c", request.param)
    return data, render(data, "every_kind", TARGETS[request.param], "every.bpf.o"), TARGETS[request.param]


@pytest.mark.parametrize("arches", ["x86_64", "s390x", "s390x x86_64"])
def test_the_text_is_the_golden_one(compile_bpf, arches):
    targets = {name: target for target, name in TARGETS.items()}
    objects = {arch: compile_bpf(GOLDEN / "every.bpf.c", targets[arch]) for arch in arches.split()}
    made = skeleton(objects, "every_kind", "every.bpf.o", EVENTS)
    folder = GOLDEN / arches.replace(" ", "+")
    shown = re.sub(r'"[0-9a-f]{64}"', '"..."', made.module)  # it changes with every compiler
    assert shown == (folder / "every_skel.py.txt").read_text(), f"write {folder.name} anew if that is what it should be"
    assert made.stub == (folder / "every_skel.pyi.txt").read_text()


def test_the_classes_read_what_clang_laid_out(every):
    data, text, _ = every
    skel = module_of(text)
    stored = initial(data, ".data", "every")
    value = skel.Every.from_bytes(stored)
    point = skel.Point
    expected = dict(
        u8=0xFE, s8=-2, u16=0xFEDC, s16=-3, u32=0xFEDCBA98, s32=-4, u64=0xFEDCBA9876543210, s64=-5,
        u128=1 << 100, s128=-6,
        yes=True, single=1.5, dual=-0.25, letter=65, text="naïve", octets=b"\0\1\2\xff", small=b"\xff\1",
        flags=(False, True),
        ports=(22, 80, 443), grid=((1, 2, 3), (-1, -2, -3)), names=("abcd", "e"), points=(point(1, -1), point(2, -2)),
        levels=(skel.Level.LEVEL_HIGH, skel.Level.LEVEL_LOW), mode=skel.ModeT.MODE_ON, wide=1 << 63,
        pair=skel.PairT(0x01020304, 0x05060708), bits=skel.PackedBits(5, -33, 0x123456789, True, 9), inside=77,
        named=skel.EveryNamed(3), class_=1, int_=2, bytes=3, _hidden_name=4, codec_=5,
        pointer=0, function=0, constant=0,
        port=443, source=IPv4Address("127.0.0.1"), destination=IPv6Address("2001:db8::1"), blob=b"\0\xff\0\0",
        label="abc", peers=(IPv4Address("10.0.0.1"), IPv6Address("::1")), few=skel.Level.LEVEL_LOW, flag=True,
        many=skel.SOME,
    )  # fmt: skip
    assert {name: getattr(value, name) for name in expected} == expected
    assert (value.anon0.one, value.anon1.whole) == (0x00010002, 0x1122334455667788)
    order = "little" if skel.c.order == "<" else "big"
    assert (value.address.v6, value.address.point.x) == (bytes(range(16)), int.from_bytes(b"\0\1\2\3", order))
    assert value.to_bytes() == stored
    assert skel.Every.from_bytes(skel.Every(**expected).to_bytes()) == skel.Every(**expected)


def test_a_flexible_array_takes_the_rest(every):
    skel = module_of(every[1])
    order = "little" if skel.c.order == "<" else "big"
    payload = 258, 65535, 1
    data = (6).to_bytes(4, order) + b"\1\0" + b"".join(number.to_bytes(2, order) for number in payload)
    record = skel.Record.from_bytes(data + b"?")  # half an element more
    assert (record.length, record.kind, record.payload) == (6, 1, payload)
    assert skel.Record.from_bytes(data[:8]).payload == (258,)
    assert skel.Record(6, 1, payload=payload).to_bytes() == data
    with pytest.raises(bpfloader.LayoutError, match=r"Record.payload: 65536 is not in 0 … 65535"):
        skel.Record(payload=(65536,)).to_bytes()


def test_the_members_of_an_anonymous_union_are_the_struct_s(every):
    skel = module_of(every[1])
    value = skel.Every(one=0x00010002, u8=7)
    assert (value.one, value.anon0.one, sorted(value.two), value.u8) == (0x00010002, 0x00010002, [1, 2], 7)
    value.whole = 5
    assert value.anon1 == skel.EveryAnon1(whole=5)
    assert skel.Every.from_bytes(value.to_bytes()) == value


def test_a_union_is_written_through_any_member(every):
    address = module_of(every[1]).Address(v6=bytes(range(16)))
    address.port = 0xFFFF
    assert address.v6 == b"\xff\xff" + bytes(range(2, 16))
    address.low = 0
    assert address.v6[0] in (0xF8, 0x1F) and address.v6[1:] == b"\xff" + bytes(range(2, 16))
    with pytest.raises(bpfloader.LayoutError):
        address.low = 8
    with pytest.raises(TypeError, match="no member other"):
        type(address)(other=1)


def test_values_without_a_name_stay_what_they_are(every):
    level = module_of(every[1]).Level
    assert level(99) == 99 and level(99).name == "99" and isinstance(level(-7), level)


def test_the_same_object_gives_the_same_text(every):
    data, text, arch = every
    assert render(data, "every_kind", arch, "every.bpf.o") == text


def test_help_names_what_there_is(every):
    text = inspect.getdoc(module_of(every[1]).EveryKind)  # Python 3.13 takes the indent off on its own
    assert text.startswith("every.bpf.o: open, set rodata, load, attach, destroy\n\nmaps: arena, by_option, by_tag, ")
    assert "\nprogs: on_enter, on_packet, each_task, lambda_, " in text
    assert "\ndata_late: last\n" in text and "\nrodata: limits, template" in text
    assert all(len(line) <= 120 for line in text.splitlines())


def test_packaging_finds_the_one_import(every):
    made = skeleton({every[2]: every[0]}, "every_kind", "every.bpf.o")
    for text in (made.module, made.stub):
        assert [line for line in text.splitlines() if "bpfloader" in line and "import" in line] == ["import bpfloader"]
        assert text.startswith("# Generated by scons-bpf from every.bpf.o")


@pytest.mark.parametrize("named, said", [
    ({"by_option": "struct poin"}, "the records of by_option are to be struct poin, which this object's BTF doesn't hold; "
     "write __type(value, struct poin); into the map's definition, or add a global variable: const struct poin *unused_by_option "),
    ({"perf": "struct poin"}, "into the map's definition instead of its value_size, or add a global variable: const "),
    ({"counts": "struct point"}, "events names counts, which is no ring or perf buffer of this object; it has by_option, by_tag"),
    ({"nowhere": "struct point"}, "events names nowhere, which is no ring"),
])  # fmt: skip
def test_records_of_no_type_or_no_ring_are_refused(every, named, said):
    with pytest.raises(SkeletonError) as caught:
        skeleton({every[2]: every[0]}, "every_kind", "every.bpf.o", named)
    assert said in str(caught.value)


@pytest.mark.parametrize("named, hint", [
    ("pair_t", "PairT"), ("union address", "Address"), ("enum level", "Level"), ("__u64", "int"), ("__be16", "int"),
])  # fmt: skip
def test_records_may_be_of_any_type(every, named, hint):
    made = skeleton({every[2]: every[0]}, "every_kind", "every.bpf.o", {"by_option": named})
    assert f"    by_option: bpfloader.RingBuffer[{hint}]" in made.stub


def test_the_first_way_out_of_a_local_struct_is_one(compile_bpf):
    """clang tells BTF nothing of a type that only a local variable has, though the program sends it to the ring."""
    source = """#include "mini_bpf.h"
        static long (*bpf_ringbuf_output)(void *ring, void *data, __u64 size, __u64 flags) = (void *)130;
        struct event { int pid; };
        struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 4096);%s } events SEC(".maps") __tag("struct event");
        SEC("xdp") int f(void *ctx) { struct event one = {1}; return bpf_ringbuf_output(&events, &one, sizeof(one), 0); }
    """
    with pytest.raises(SkeletonError, match=r"doesn't hold; write __type\(value, struct event\); into the map's definition"):
        render(compile_bpf(source % ""), "program", "x86_64", "x.bpf.o")
    text = render(compile_bpf(source % " __type(value, struct event);"), "program", "x86_64", "x.bpf.o")
    assert 'self.events = bpfloader.RingBuffer(owner, "events", Event)' in text


@pytest.mark.parametrize("type, member", [("RINGBUF", "value"), ("ARRAY", "value"), ("HASH", "key")])
def test_a_misspelt_type_of_a_map_is_told_with_the_map(compile_bpf, type, member):
    source = f"""#include "mini_bpf.h"
        struct event {{ int pid; }} *unused;
        struct {{ __uint(type, BPF_MAP_TYPE_{type}); __type({member}, struct %s); }} events SEC(".maps");
    """
    with pytest.raises(SkeletonError, match="map events: struct evnt is defined nowhere; nearest: event$"):
        render(compile_bpf(source % "evnt"), "program", "x86_64", "x.bpf.o")
    with pytest.raises(SkeletonError, match="map events: struct quux is defined nowhere; define it$"):
        render(compile_bpf(source % "quux"), "program", "x86_64", "x.bpf.o")


def test_a_tag_of_no_words_says_nothing(compile_bpf):
    source = '#include "mini_bpf.h"\nstruct { __uint(type, BPF_MAP_TYPE_RINGBUF); } events SEC(".maps") __tag("%s");\n'
    for tag in ("", " ", "\\t", "of mine"):
        assert "c.tail()" in render(compile_bpf(source % tag), "program", "x86_64", "x.bpf.o")


def test_where_arches_differ_the_one_is_taken_that_runs(every, compile_bpf, monkeypatch):
    objects = {arch: compile_bpf(GOLDEN / "every.bpf.c", target) for target, arch in TARGETS.items()}
    text = skeleton(objects, "every_kind", "every.bpf.o").module
    for machine, size in (("x86_64", 16), ("s390x", 144), ("riscv64", 144)):  # the first one's where there is no other
        monkeypatch.setattr("os.uname", lambda machine=machine: os.uname_result(("", "", "", "", machine)))
        assert module_of(text).Regs.codec.size == size
    assert module_of(text).EveryKind.OBJECTS.keys() == objects.keys()


SPLIT = """#include "mini_bpf.h"
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
struct s { int sp; __u64 wide; };
#else
struct s { union { __u64 sp; char text[8]; }; };
#endif
struct s one;
"""


def test_a_member_that_another_arch_has_in_a_union_is_one_member(compile_bpf):
    """As ARM's and AArch64's pt_regs have their stack pointers."""
    made = skeleton({arch: compile_bpf(SPLIT, target) for target, arch in TARGETS.items()}, "program", "x.bpf.o")
    compile(made.stub, "x_skel.pyi", "exec")
    assert "    sp: int  # in anon0: __u64 sp\n" in made.stub or "    sp: int  # int sp\n" in made.stub
    assert made.stub.count("sp: int = ...") == 2  # of the struct, and of its union
    assert made.module.count("class ProgramBss(") == 1  # which prints alike, though what is in it has other sizes


@pytest.mark.parametrize("used", ["elsewhere", "elsewhere()"])
def test_an_object_that_lacks_another_s_is_to_be_linked(compile_bpf, used):
    """libbpf would refuse it on the target."""
    declared = f"extern int {used};".replace("()", "(void)")
    source = f'#include "mini_bpf.h"\n{declared}\nSEC("xdp") int f(void *ctx) {{ return {used}; }}\n'
    with pytest.raises(ElfError, match="elsewhere is defined in another object; name the sources of both in one call: BpfObject"):
        render(compile_bpf(source), "program", "x86_64", "x.bpf.o")


@pytest.mark.parametrize("section", [".struct_ops", ".struct_ops.link", "?.struct_ops", "?.struct_ops.link"])
def test_a_struct_ops_map_is_one_in_each_of_its_sections(compile_bpf, section):
    source = f'#include "mini_bpf.h"\nstruct table {{ int (*f)(void); }} one SEC("{section}");\n'
    made = skeleton({"x86_64": compile_bpf(source)}, "program", "x.bpf.o")
    assert 'self.one = bpfloader.StructOpsMap(owner, "one")  # struct table' in made.module
    assert "    one: bpfloader.StructOpsLink | None" in made.stub


def test_a_hidden_variable_is_the_program_s_own(compile_bpf):
    """To libbpf it is static; a section of such ones alone isn't mapped."""
    source = '#include "mini_bpf.h"\n__hidden int first; int second; __hidden int third SEC(".bss.lock");\n'
    source += "static int fourth = 1;\n"
    source += 'SEC("xdp") int f(void *ctx) { return first + third + fourth++ + second; }\n'
    made = skeleton({"x86_64": compile_bpf(source)}, "program", "x.bpf.o")
    assert "second = c.s32 @ 4" in made.module or "second = c.s32 @ 0" in made.module
    assert not {"first", "third", "fourth", "ProgramBssLock"} & set(re.findall(r"\w+", made.module + made.stub))


def test_the_byte_order_must_be_the_arch_s(every):
    data, _, arch = every
    with pytest.raises(SkeletonError, match="-endian, .* is not; compile it with -target"):
        render(data, "every", {"x86_64": "s390x", "s390x": "aarch64"}[arch], "every.bpf.o")


def test_a_file_name_stays_a_file_name(every):
    with pytest.raises(SkeletonError, match="no name for an object"):
        render(every[0], "every", every[2], 'x"\nimport os')


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_broken_object_gives_a_module_or_an_error(sample, data):
    """Whatever bytes change, the text compiles: nothing of the object gets into the code unchecked."""
    broken = bytearray(sample())
    section = next(row for row in ObjectSpec.from_bytes(bytes(broken)).elf.sections if row.name == ".BTF")
    start = bytes(broken).index(section.data)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.one_of(st.integers(start, start + len(section.data) - 1), st.integers(0, len(broken) - 1)))
        broken[place] = data.draw(st.integers(0, 255))
    try:
        made = skeleton({"x86_64": bytes(broken)}, "sample", "sample.bpf.o")
    except EbpfError:
        return
    module_of(made.module)
    compile(made.stub, "sample_skel.pyi", "exec")


def test_a_truncated_object_gives_an_error(sample):
    whole = sample()
    for size in range(0, len(whole), 97):
        with pytest.raises(EbpfError):
            skeleton({"x86_64": whole[:size]}, "sample", "sample.bpf.o")


def checked(every, tmp_path, *command):
    """What a checker of the environment says of the module and the stub."""
    if importlib.util.find_spec(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    data, _, arch = every
    made = skeleton({arch: data}, "every_kind", "every.bpf.o")
    (tmp_path / "alone").mkdir()
    for path, text in (("every_skel.py", made.module), ("every_skel.pyi", made.stub), ("alone/every_skel.py", made.module)):
        (tmp_path / path).write_text(text)
    loader = Path(bpfloader.__file__).parents[1]
    arguments = [sys.executable, "-m", *command]
    return subprocess.run(arguments, cwd=tmp_path, env={**os.environ, "MYPYPATH": str(loader)}, capture_output=True, text=True)


@pytest.mark.parametrize("file", slow_after(1, ["every_skel.pyi", "alone/every_skel.py"]))
def test_the_text_passes_mypy(every, tmp_path, file):
    done = checked(every, tmp_path, "mypy", "--strict", "--no-error-summary", file)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("command", ["check --select E,F,I,UP,B,SIM,RUF,PYI052", "check", "format --check"])
def test_the_text_passes_ruff(every, tmp_path, command):
    options = ["--line-length", "120", "--no-cache", "--target-version", "py39", "--isolated"]
    done = checked(every, tmp_path, "ruff", *command.split(), *options, ".")
    assert done.returncode == 0, done.stdout
