"""The generated skeleton: its text as golden files, and its classes against the bytes that clang lays out."""

import ast
import importlib.util
import inspect
import json
import os
import re
import subprocess
import sys
import types
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import bpfloader
import pytest
from ebpfbuild.errors import EbpfError, ElfError, SkeletonError
from ebpfbuild.spec.object import ObjectSpec
from ebpfbuild.skeleton.skeleton import render, skeleton
from hypothesis import given, settings
from hypothesis import strategies as st

TESTDATA = Path(__file__).resolve().parents[2] / "testdata"
GOLDEN = TESTDATA / "skeleton"
EVENTS = {"by_option": "struct point"}
TARGETS = {"bpfel": "x86_64", "bpfeb": "s390x"}


def module_of(text: str) -> types.ModuleType:
    """The skeleton, imported."""
    module = types.ModuleType("every_skel")
    exec(compile(text, "every_skel.py", "exec"), vars(module))
    return module


@pytest.fixture(scope="session", params=TARGETS)
def every(request, compile_bpf):
    """The rich object for either byte order, its skeleton's text, the arch."""
    data = compile_bpf(GOLDEN / "every.bpf.c", request.param)
    return data, render(data, "every_kind", TARGETS[request.param], "every.bpf.o"), TARGETS[request.param]


def initial(data: bytes, section: str, variable: str) -> bytes:
    """A variable's bytes as clang laid them out."""
    rows = next(row.variables for row in ObjectSpec.from_bytes(data).data if row.name == section)
    return next(row.data for row in rows if row.name == variable)


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


@pytest.mark.parametrize("source, shown", [
    ("struct a_b { int x; }; struct aB { int y; }; struct a_b one; struct aB two;", ["AB.x", "AB_.y", ".bss.one: AB", ".bss.two: AB_"]),
    ("struct program { int x; }; struct program one; struct program_bss { int y; } two;", ["Program_.x", "ProgramBss_.y"]),
    ("struct s { int __x; int _x; int _x_; }; struct s one;", ["S._x", "S._x_", "S._x__"]),
    ("struct t { int x; }; struct s { struct t T; struct t T_; }; struct s one;", ["S.T_", "S.T__"]),
    ("struct t { enum { T, c, print, IPv4Address } x; }; struct t one;", ["T_ = TX.T", "c_ = TX.c", "print_ = TX.print"]),
    ("struct final { int x; } one; struct class_var { int y; } two;", ["Final_.x", "ClassVar_.y"]),
    ("struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, int); __type(value, char[4]); }"
     " str SEC(\".maps\"), IPv4Address SEC(\".maps\");", ["maps.str", "maps.IPv4Address_"]),
    ("int one SEC(\".data.a-b\") = 1; int two SEC(\".data.a_b\") = 1;", ["data_a_b", "data_a_b_", ".data.a_b.two"]),
])  # fmt: skip
def test_names_that_collide_get_an_underscore(compile_bpf, source, shown):
    head = '#include "mini_bpf.h"\nchar LICENSE[] SEC("license") = "GPL";\n'
    made = skeleton({"x86_64": compile_bpf(head + source + "\n")}, "program", "x.bpf.o")
    assert set(shown) <= set(names_of(made.stub))
    module_of(made.module)


OWN_NAMES = """
struct called { __u8 bytes[2]; char str[4]; __u32 c; __u32 tuple[2]; __u32 ARCH; union { __u8 octets[4]; __u32 whole; }; } called = {
	.bytes = {1, 2}, .str = "abc", .c = 3, .tuple = {4, 5}, .ARCH = 6, .whole = 0x01010101 };
union either { __u8 bytes[4]; __u32 c; char text[4]; } either = {.c = 0x41414141};
__u32 c SEC(".data.own") = 7;
__u8 bytes[2] SEC(".data.own") = {8, 9};
char str[4] SEC(".data.own") = "def";
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, __u32); __type(value, __u8[4]); }
	bytes_map SEC(".maps"), tuple SEC(".maps");
"""


@pytest.mark.parametrize("target", TARGETS)
def test_what_python_calls_its_types_keeps_its_name_in_c(compile_bpf, tmp_path, target):
    """Only what would break the class gets an underscore: a hint beside a member `bytes` is builtins.bytes."""
    head = '#include "mini_bpf.h"\nchar LICENSE[] SEC("license") = "GPL";\n'
    data = compile_bpf(head + OWN_NAMES, target)
    made = skeleton({TARGETS[target]: data}, "program", "x.bpf.o")
    skel = module_of(made.module)
    value = skel.Called.from_bytes(initial(data, ".data", "called"))
    assert (value.bytes, value.str, value.c, value.tuple, value.ARCH, value.octets) == (b"\1\2", "abc", 3, (4, 5), 6, b"\1\1\1\1")
    assert skel.Called(bytes=b"\1\2", str="abc", c=3, tuple=(4, 5), ARCH=6, whole=0x01010101) == value
    union = skel.Either.from_bytes(initial(data, ".data", "either"))
    assert (union.bytes, union.c, union.text) == (b"AAAA", 0x41414141, "AAAA")
    (tmp_path / "x.pyi").write_text(made.stub)
    own = {"Called.bytes", "Either.bytes", ".data.own.c", ".data.own.bytes", ".data.own.str", "maps.tuple"}
    assert own <= set(names_of(made.stub)) and not re.search(r"^    \w+_:", made.stub, re.MULTILINE)
    for tool in (["mypy", "--strict", "--no-error-summary"], ["ruff", "check", "--no-cache"]):
        if importlib.util.find_spec(tool[0]):
            done = subprocess.run([sys.executable, "-m", *tool, "x.pyi"], cwd=tmp_path, capture_output=True, text=True,
                                  env={**os.environ, "MYPYPATH": str(Path(bpfloader.__file__).parents[1])})  # fmt: skip
            assert done.returncode == 0, done.stdout + done.stderr


def test_a_name_that_hides_nothing_changes_no_hint(compile_bpf):
    source = '#include "mini_bpf.h"\nstruct t { int bytes; int c; } one;\nchar LICENSE[] SEC("license") = "GPL";\n'
    made = skeleton({"x86_64": compile_bpf(source)}, "program", "x.bpf.o")
    assert "builtins" not in made.stub and "bytes = bpfloader.little_endian.s32 @ 0" in made.module


def test_no_section_s_name_gets_into_the_code(compile_bpf):
    """clang takes any name; libbpf makes a map of each `.data.*`."""
    names = ['.data."), print("here"), ("', '.data."""', ".data.\\", ".data.\tx\n", ".data.{{ 1 }}"]
    source = "".join(f"int v{number} SEC({json.dumps(name)}) = 1;\n" for number, name in enumerate(names))
    made = skeleton({"x86_64": compile_bpf('#include "mini_bpf.h"\n' + source)}, "program", "x.bpf.o")
    body = ast.parse(made.module).body[-1].body[-1].body
    calls = [line.value for line in body if isinstance(line, ast.Assign) and line.targets[0].attr.startswith("data")]
    stated = sorted(call.args[1].value for call in calls)
    assert stated == sorted(names)
    assert len(ast.parse(made.stub).body) == len(names) + 6


def test_a_member_that_ruff_calls_ambiguous_stays_what_it_is(compile_bpf):
    source = "struct s { int l; int (*I)(long first, long second); } one; enum { O } two;"
    made = skeleton({"x86_64": compile_bpf(source + "\n")}, "program", "x.bpf.o")
    assert "    l = c.s32 @ 0  # noqa: E741 (int l)\n" in made.module
    assert "    I = c.u64 @ 8  # noqa: E741 (int (*I)(long, long))\n" in made.module
    assert "    O = 0  # noqa: E741\n" in made.module


def names_of(stub: str) -> Iterator[str]:
    """What a stub declares: `Class.member`, `.bss.variable`, `.bss.variable: Class`, `CONSTANT = Enum.CONSTANT`."""
    where = ""
    for line in stub.splitlines():
        if found := re.match(r"class (\w+)", line):
            where = "maps" if found[1] == "ProgramMaps" else found[1]
        elif found := re.match(r'    """(\.\S+): ', line):
            where = found[1]
        elif found := re.match(r"    (\w+): (\S+)", line):
            yield from (f"{where}.{found[1]}", f"{where}.{found[1]}: {found[2]}", found[1])
        elif found := re.match(r"(\w+): Final = (\S+)", line):
            yield f"{found[1]} = {found[2]}"


def test_a_member_called_as_a_class_gets_an_underscore(compile_bpf):
    source = 'struct t { int x; }; struct s { struct t T; struct t u; }; struct s one = {.T = {1}, .u = {2}};\n'
    skel = module_of(render(compile_bpf(source), "program", "x86_64", "x.bpf.o"))
    assert skel.S.from_bytes(bytes([1, 0, 0, 0, 2, 0, 0, 0])) == skel.S(T_=skel.T(1), u=skel.T(2))


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
    return subprocess.run(arguments, cwd=tmp_path, env={"MYPYPATH": str(loader)}, capture_output=True, text=True)


@pytest.mark.parametrize("file", ["every_skel.pyi", "alone/every_skel.py"])
def test_the_text_passes_mypy(every, tmp_path, file):
    done = checked(every, tmp_path, "mypy", "--strict", "--no-error-summary", file)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("command", ["check --select E,F,I,UP,B,SIM,RUF,PYI052", "check", "format --check"])
def test_the_text_passes_ruff(every, tmp_path, command):
    options = ["--line-length", "120", "--no-cache", "--target-version", "py39", "--isolated"]
    done = checked(every, tmp_path, "ruff", *command.split(), *options, ".")
    assert done.returncode == 0, done.stdout
