"""The same bytes wherever one compiles: the folder's path, the environment, the compiler's place and the time don't count."""

import hashlib
import os
import subprocess
from pathlib import Path

import pytest
from ebpfbuild.arch import arch_named
from ebpfbuild.btf.canonical import canonical_object
from ebpfbuild.compile.args import CompileArgs
from ebpfbuild.compile.object import compile_object
from ebpfbuild.errors import CompileError

LENGTHS = range(1, 73, 3)  # 24 of them, as what clang shuffles changes with a few bytes more
PROGRAMS = ("forwards", "externs")


class Silent:
    @staticmethod
    def notice(text):
        raise AssertionError(text)


def project(root: Path, testdata: Path) -> Path:
    """A project's folder with the corpus in it."""
    for name in ("headers", "libbpf", "include"):
        (root / name).mkdir(parents=True)
    (root / "headers" / "vmlinux.h").write_text("typedef int unused;\n")
    (root / "mini_bpf.h").write_text((testdata / "mini_bpf.h").read_text())
    for name in PROGRAMS:
        (root / f"{name}.bpf.c").write_text((testdata / "canonical" / f"{name}.bpf.c").read_text())
    return root


def compiled(root: Path, clang, source: str, arch: str = "x86_64", cflags=("-I.", "-w")) -> bytes:
    """The object that a build makes of a source."""
    output = f"build/{source.removesuffix('.c')}.o"
    args = CompileArgs(
        tuple(clang), arch_named(arch), source, output, "headers", "libbpf", ("include",), cflags=tuple(cflags)
    )
    known = ["headers/vmlinux.h", "mini_bpf.h", "include/stamp.h"]
    compile_object(args, args.vmlinux, known, str(root), Silent.notice)
    return (root / output).read_bytes()


@pytest.fixture
def testdata(pytestconfig):
    return pytestconfig.rootpath / "tests" / "testdata"


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_length_of_the_path_does_not_count(clang, tmp_path, testdata, monkeypatch, program):
    digests = set()
    for length in LENGTHS:
        monkeypatch.setenv("PADDING", "x" * 97 * length)
        root = project(tmp_path / ("p" * length), testdata)
        digests.add(hashlib.sha256(compiled(root, clang, f"{program}.bpf.c", "s390x")).hexdigest())
    assert len(digests) == 1


def test_what_clang_shuffles_is_put_in_order(clang, tmp_path, testdata):
    """Given paths of its own length each time, as clang never is by a build."""
    root = project(tmp_path / "project", testdata)
    flags = "-target bpfeb -O2 -g -w -ffile-compilation-dir=. -I. -c forwards.bpf.c -o".split()
    digests = set()
    for length in LENGTHS:
        made = tmp_path / ("o" * length)
        subprocess.run([*clang, *flags, str(made), "-MD", "-MF", f"{made}.d"], cwd=root, check=True)
        digests.add(hashlib.sha256(canonical_object(made.read_bytes())).hexdigest())
    assert len(digests) == 1


def test_clang_is_told_no_place(tmp_path, testdata):
    told = tmp_path / "told"
    tool = tmp_path / "a folder" / "clang"
    tool.parent.mkdir()
    tool.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {told}\nenv >> {told}\nexit 1\n')
    tool.chmod(0o755)
    root = project(tmp_path / "project", testdata)
    with pytest.raises(CompileError):
        compiled(root, [str(tool)], "forwards.bpf.c")
    words = told.read_text().splitlines()
    assert "-o" in words and "forwards.bpf.c" in words
    assert [word for word in words if str(tmp_path) in word and not word.startswith(("PWD=", "OLDPWD="))] == []


def test_another_place_of_the_compiler_does_not_count(clang, tmp_path, testdata):
    root = project(tmp_path / "project", testdata)
    expected = compiled(root, clang, "forwards.bpf.c")
    other = tmp_path / ("deep" * 20) / "zig"
    other.parent.mkdir()
    os.symlink(clang[0], other)
    assert compiled(root, [str(other), *clang[1:]], "forwards.bpf.c") == expected


TIME_MACROS = ("__DATE__", "__TIME__", "__TIMESTAMP__")
USES = {
    "itself": ("const char when[] = {macro};\n", "", 1),
    "beside literals": ('\nconst char when[] = "built " {macro} "!";\n', "", 2),
    "by a macro": ("#define WHEN {macro}\n#define STAMP WHEN\n\nconst char *when(void) {{ return STAMP; }}\n", "", 4),
    "by a macro of a header": ('#include "stamp.h"\nconst char when[] = STAMP;\n', "#define STAMP {macro}\n", 2),
    "in a header": ('#include "stamp.h"\n', "static const char when[] __attribute__((used)) = {macro};\n", 1),
    "in a system header": (
        '#include "stamp.h"\n',
        "#pragma GCC system_header\nstatic const char when[] __attribute__((used)) = {macro};\n",
        2,
    ),
    "behind a pragma": ('#pragma clang diagnostic ignored "-Wdate-time"\nconst char when[] = {macro};\n', "", 2),
}


@pytest.mark.parametrize("macro", TIME_MACROS)
@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("flags", ((), ("-Wno-date-time", "-Wno-error=date-time", "-Wno-error", "-w")))
def test_a_date_or_a_time_is_an_error_that_names_it(clang, tmp_path, testdata, macro, use, flags):
    source, header, line = USES[use]
    root = project(tmp_path / "project", testdata)
    (root / "p.bpf.c").write_text(source.format(macro=macro))
    (root / "include" / "stamp.h").write_text(header.format(macro=macro))
    with pytest.raises(CompileError) as caught:
        compiled(root, clang, "p.bpf.c", cflags=flags)
    file = "p.bpf.c" if "in a" not in use else "include/stamp.h"
    assert str(caught.value).startswith(f"{file}:{line}:")
    assert f": {macro} gives other bytes each time it is compiled; write a constant, or define" in str(caught.value)
    assert "<scratch space>" not in str(caught.value) and "<command line>" not in str(caught.value)


def test_a_date_that_the_flags_or_the_program_define_is_a_constant(clang, tmp_path, testdata):
    root = project(tmp_path / "project", testdata)
    (root / "p.bpf.c").write_text("const char when[] = __DATE__;\n")
    assert b"1 Jan 1970" in compiled(root, clang, "p.bpf.c", cflags=('-D__DATE__="1 Jan 1970"', "-Werror"))
    (root / "p.bpf.c").write_text('#undef __TIME__\n#define __TIME__ "noon"\nconst char when[] = __TIME__;\n')
    assert b"noon" in compiled(root, clang, "p.bpf.c", cflags=("-Werror",))


def test_a_name_of_a_date_that_is_only_asked_for_is_none(clang, tmp_path, testdata):
    root = project(tmp_path / "project", testdata)
    (root / "p.bpf.c").write_text("#ifdef __DATE__\n#define UNUSED __TIME__\nint x;\n#endif\n")
    compiled(root, clang, "p.bpf.c", cflags=("-Werror",))


def test_macros_that_name_files_name_no_folder_of_the_machine(clang, tmp_path, testdata):
    root = project(tmp_path / "project", testdata)
    (root / "include" / "stamp.h").write_text("static const char header[] __attribute__((used)) = __FILE__;\n")
    (root / "p.bpf.c").write_text(
        '#include "stamp.h"\nconst char own[] = __FILE__ "|" __BASE_FILE__ "|" __FILE_NAME__;\n'
        "const char *place(void) { return __builtin_FILE(); }\nint depth = __INCLUDE_LEVEL__ + __COUNTER__;\n"
    )
    data = compiled(root, clang, "p.bpf.c", cflags=())
    assert b"p.bpf.c|p.bpf.c|p.bpf.c\0" in data and b"include/stamp.h\0" in data
    assert os.fsencode(root) not in data
