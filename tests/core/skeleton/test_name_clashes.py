"""Names of C that would clash in Python get an underscore; all others stay as they are."""

import ast
import importlib.util
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import bpfloader
import pytest
from ebpfbuild.skeleton.skeleton import render, skeleton
from skeleton_module import TARGETS, initial, module_of


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


@pytest.mark.slow
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
