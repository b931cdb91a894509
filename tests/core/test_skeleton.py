"""The generated skeleton: its text as golden files, and its classes against the bytes that clang lays out."""

import importlib.util
import random
import re
import subprocess
import sys
import types
from pathlib import Path

import bpfloader
import pytest
from ebpfbuild.errors import EbpfError, SkeletonError
from ebpfbuild.objectspec import BpfObjectSpec
from ebpfbuild.skeleton import render, skeleton
from hypothesis import given, settings
from hypothesis import strategies as st

TESTDATA = Path(__file__).resolve().parents[1] / "testdata"
GOLDEN = TESTDATA / "skeleton"
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
    rows = next(row.variables for row in BpfObjectSpec.from_bytes(data).data if row.name == section)
    return next(row.data for row in rows if row.name == variable)


@pytest.mark.parametrize("arches", ["x86_64", "s390x", "s390x x86_64"])
def test_the_text_is_the_golden_one(compile_bpf, arches):
    targets = {name: target for target, name in TARGETS.items()}
    objects = {arch: compile_bpf(GOLDEN / "every.bpf.c", targets[arch]) for arch in arches.split()}
    made = skeleton(objects, "every_kind", "every.bpf.o")
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
        named=skel.EveryNamed(3), class_=1, int_=2, bytes_=3, _hidden_name=4, codec_=5,
        pointer=0, function=0, constant=0,
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
    with pytest.raises(bpfloader.LayoutError, match=r"Record.payload: 65536 doesn't fit u16"):
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


def test_packaging_finds_the_one_import(every):
    lines = every[1].splitlines()
    assert [line for line in lines if "import" in line.split()] == ["import bpfloader"]
    assert lines[0].startswith("# Generated by scons-bpf from every.bpf.o")


SCALARS = {
    "__u8": 8,
    "__s8": 8,
    "__u16": 16,
    "__s16": 16,
    "__u32": 32,
    "__s32": 32,
    "__u64": 64,
    "__s64": 64,
    "_Bool": 1,
}


def random_value(dice: random.Random, kind: str, bits: int) -> int:
    low = -(1 << bits - 1) if "s" in kind else 0
    return dice.choice([low, low + (1 << bits) - 1, dice.randrange(low, low + (1 << bits))])


def random_member(dice: random.Random, name: str, depth: int) -> tuple[str, dict[str, object]]:
    """A member's C declaration, and values for what is in it, by path: scalars, bitfields, arrays, structs, unions."""
    kind, bits = dice.choice(list(SCALARS.items()))
    shape = dice.choice("sssbbba" if depth > 2 else "sssbbbaScU")
    if shape in "ScU":
        inside, values = random_members(dice, f"{name}_", depth + 1)
        if shape == "U":
            values = dict([next(iter(values.items()))])  # the others would lie over it
        path = "" if shape == "c" else f"{name}."
        word = "union" if shape == "U" else "struct"
        return f"{word} {{ {inside} }} {name * bool(path)};", {path + key: value for key, value in values.items()}
    if shape == "b":
        width = dice.randint(1, bits)
        return f"{kind} {name} : {width};", {name: random_value(dice, kind, width)}
    if shape == "a":
        count = dice.randint(1, 3)
        return f"{kind} {name}[{count}];", {name: tuple(random_value(dice, kind, bits) for _ in range(count))}
    return f"{kind} {name};", {name: random_value(dice, kind, bits)}


def random_members(dice: random.Random, prefix: str, depth: int) -> tuple[str, dict[str, object]]:
    made = [random_member(dice, f"{prefix}{number}", depth) for number in range(dice.randint(1, 6))]
    return " ".join(text for text, _ in made), {path: value for _, values in made for path, value in values.items()}


def literal(value) -> str:
    return f"{{{', '.join(map(literal, value))}}}" if isinstance(value, tuple) else f"(__s64){value % 2**64:#x}ULL"


def found_at(value: object, path: str) -> object:
    for name in path.split("."):
        value = getattr(value, name)
    return tuple(byte - 256 if byte > 127 else byte for byte in value) if isinstance(value, bytes) else value


def same(found: object, expected: object) -> bool:
    """Whether they are equal; arrays of 8-bit integers, which are bytes, modulo 256."""
    if isinstance(expected, tuple):
        return all(
            (one - other) % 256 == 0 and (one == other or -128 <= one < 256)
            for one, other in zip(found, expected, strict=True)
        )
    return found == expected


@pytest.mark.parametrize("target", TARGETS)
def test_random_structs_are_read_as_clang_laid_them_out(compile_bpf, target):
    dice, wanted = random.Random(20), []
    source = ['#include "mini_bpf.h"', "typedef signed char __s8; typedef short __s16;"]
    for number in range(150):
        members, values = random_members(dice, "m", 0)
        packed = " __attribute__((packed))" * (dice.random() < 0.3)
        inits = ", ".join(f".{path} = {literal(value)}" for path, value in values.items())
        source.append(
            f"struct random{number} {{ {members} }}{packed};\nstruct random{number} value{number} = {{ {inits} }};"
        )
        wanted.append(values)
    data = compile_bpf(
        "\n".join(source) + "\n", target, flags=("-Wno-constant-conversion", "-Wno-bitfield-constant-conversion")
    )
    skel = module_of(render(data, "program", TARGETS[target], "x.bpf.o"))
    variables = {row.name: row.data for section in BpfObjectSpec.from_bytes(data).data for row in section.variables}
    for number, values in enumerate(wanted):
        kind, stored = getattr(skel, f"Random{number}"), variables[f"value{number}"]
        value = kind.from_bytes(stored or bytes(kind.codec.size))  # all zero: it lies in .bss
        wrong = {
            path: found_at(value, path)
            for path, expected in values.items()
            if not same(found_at(value, path), expected)
        }
        assert not wrong, (number, source[number + 2], wrong)
        assert kind.from_bytes(value.to_bytes()) == value and len(value.to_bytes()) == kind.codec.size


@pytest.mark.parametrize("source, said", [
    ("struct a_b { int x; }; struct aB { int y; }; struct a_b one; struct aB two;", "both be the class AB; rename"),
    ("struct program { int x; }; struct program one;", "the program would both be the class Program"),
    ("struct s { int __x; int _x; }; struct s one;", "would both be called _x in Python"),
    ("struct t { int x; }; struct s { struct t T; struct t T_; }; struct s one;", "two members of struct s would be called T_"),
    ("struct t { enum { T, c } x; }; struct t one;", "enumerator T and another name would both be T"),
])  # fmt: skip
def test_names_that_collide_are_refused(compile_bpf, source, said):
    head = '#include "mini_bpf.h"\nchar LICENSE[] SEC("license") = "GPL";\n'
    with pytest.raises(SkeletonError, match=said):
        render(compile_bpf(head + source + "\n"), "program", "x86_64", "x.bpf.o")


def test_a_member_called_as_a_class_gets_an_underscore(compile_bpf):
    source = 'struct t { int x; }; struct s { struct t T; struct t u; }; struct s one = {.T = {1}, .u = {2}};\n'
    skel = module_of(render(compile_bpf(source), "program", "x86_64", "x.bpf.o"))
    assert skel.S.from_bytes(bytes([1, 0, 0, 0, 2, 0, 0, 0])) == skel.S(T_=skel.T(1), u=skel.T(2))


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
    section = next(row for row in BpfObjectSpec.from_bytes(bytes(broken)).elf.sections if row.name == ".BTF")
    start = bytes(broken).index(section.data)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.one_of(st.integers(start, start + len(section.data) - 1), st.integers(0, len(broken) - 1)))
        broken[place] = data.draw(st.integers(0, 255))
    try:
        text = render(bytes(broken), "sample", "x86_64", "sample.bpf.o")
    except EbpfError:
        return
    compile(text, "sample_skel.py", "exec")


def test_the_text_passes_mypy(every, tmp_path):
    if importlib.util.find_spec("mypy") is None:
        pytest.skip("mypy is not installed")
    (tmp_path / "every_skel.py").write_text(every[1])
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "every_skel.py"]
    loader = Path(bpfloader.__file__).parents[1]
    done = subprocess.run(command, cwd=tmp_path, env={"MYPYPATH": str(loader)}, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")
