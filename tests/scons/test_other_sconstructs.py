"""What other people's SConstructs do: several environments, SConscripts in subfolders, variant_dir, generated files, odd names."""

import os
import shutil

import pytest

COPY = """
def copy(target, source, env):
    import shutil
    shutil.copy(source[0].abspath, target[0].abspath)
"""


def objects(paths):
    return {path for path in paths if path.endswith(".o")}


def test_two_environments_share_one_compile_commands(declare):
    project = declare('env.BpfObject("src/one.bpf.c")\nebpf(EBPF_CFLAGS=["-DTWO"]).BpfObject("src/two.bpf.c")\n')
    project.build("ARCH=x86_64")
    assert [entry["file"] for entry in project.commands()] == ["src/one.bpf.c", "src/two.bpf.c"]
    assert ["-DTWO" in entry["arguments"] for entry in project.commands()] == [False, True]
    assert project.build("ARCH=x86_64") == set()


def test_two_environments_do_not_declare_the_same_object(declare):
    project = declare('env.BpfObject("src/one.bpf.c")\nebpf(EBPF_CFLAGS=["-DTWO"]).BpfObject("src/one.bpf.c")\n')
    assert "build/x86_64/one.bpf.o is declared twice" in project.fails("ARCH=x86_64")


def test_two_toolchains_do_not_share_a_build_folder(declare):
    project = declare('ebpf(EBPF_TOOLCHAIN="other.toml")\n')
    assert "EBPF_TOOLCHAIN: two of them would share build; " in project.fails("ARCH=x86_64")


def test_a_clone_with_other_pins_says_where_they_would_meet(declare):
    project = declare('env.BpfObject("src/one.bpf.c")\nenv.Clone(EBPF_TOOLCHAIN="other.toml").BpfObject("src/two.bpf.c")\n')
    assert "EBPF_TOOLCHAIN: two of them would share build; " in project.fails("ARCH=x86_64")


def test_a_clone_with_other_pins_and_a_folder_of_its_own_takes_those_pins(declare):
    project = declare('env.Clone(EBPF_TOOLCHAIN="other.toml", EBPF_BUILD="other").BpfObject("src/one.bpf.c", cflags=["-DONE"])\n')
    assert "other.toml: " in project.fails("ARCH=x86_64")
    shutil.copy(project.folder / "toolchain.toml", project.folder / "other.toml")
    project.build("ARCH=x86_64")
    assert (project.folder / "other/x86_64/one.bpf.o").exists()


def test_a_clone_with_a_build_folder_of_its_own(declare):
    project = declare('env.BpfObject("src/one.bpf.c")\nenv.Clone(EBPF_BUILD="#other/bpf", EBPF_CFLAGS=["-DTWO"]).BpfObject("src/one.bpf.c")\n')
    project.build("ARCH=x86_64")
    assert (project.folder / "other/bpf/x86_64/one.bpf.o").exists()
    assert [entry["output"] for entry in project.commands()] == ["build/x86_64/one.bpf.o", "other/bpf/x86_64/one.bpf.o"]


def test_a_build_folder_by_its_absolute_path(declare, tmp_path):
    inside = tmp_path / "project/out/bpf"
    declare(f'ebpf(EBPF_BUILD="{inside}").BpfObject("src/one.bpf.c")\n').build("ARCH=x86_64")
    assert (inside / "x86_64/one.bpf.o").exists()


def test_a_compiler_below_the_root_is_found_from_any_sconscript(declare, compiler):
    project = declare('SConscript("src/SConscript", exports="env")\n', SConscript='Import("env")\nenv.BpfObject("one.bpf.c")\n')
    wrapper = project.folder / "clang"
    wrapper.write_text(f'#!/bin/sh\nexec "{compiler.argv[0]}" clang "$@"\n')
    wrapper.chmod(0o755)
    project.edit("toolchain.toml", 'package = "ziglang"', 'path = "clang"')
    assert objects(project.build("ARCH=x86_64")) == {"x86_64/one.bpf.o"}


@pytest.mark.slow
@pytest.mark.parametrize("duplicate", [0, 1])
@pytest.mark.parametrize("first", ["Glob", "BpfObject"])
def test_a_glob_in_a_variant_dir_leaves_outputs_what_they_are(declare, duplicate, first):
    """SCons gives what it finds in both folders one class: content would no longer decide where a Decider says mtimes."""
    calls = {"Glob": "Glob('deep/x86_64/*.o')", "BpfObject": "env.BpfObject('one.bpf.c')"}
    order = [calls.pop(first), *calls.values()]
    project = declare(f"SConscript('src/SConscript', exports='env', variant_dir='out', duplicate={duplicate})\n")
    project.edit("SConstruct", "EBPF_CPPPATH", "EBPF_BUILD='out/deep', EBPF_CPPPATH")
    project.edit("SConstruct", "SConscript(", "env.Decider('timestamp-newer')\nSConscript(")
    (project.folder / "src/SConscript").write_text("Import('env')\n" + "\n".join(order))
    old = project.folder / "src/deep/x86_64/one.bpf.o"
    old.parent.mkdir(parents=True)
    old.write_bytes(b"another")
    assert project.scons("ARCH=x86_64").returncode == 0
    made = project.folder / "out/deep/x86_64/one.bpf.o"
    before, source = made.read_bytes(), project.folder / "src/one.bpf.c"
    project.edit("src/one.bpf.c", '"shared.h"', '"shared.h"\nint more;')
    os.utime(source, ns=(10**18, 10**18))
    assert project.scons("ARCH=x86_64").returncode == 0
    assert made.read_bytes() != before


@pytest.mark.parametrize("duplicate", [0, 1])
def test_a_variant_dir_is_read_through_to_the_sources(declare, duplicate):
    project = declare(
        f'SConscript("src/SConscript", exports="env", variant_dir="build/v", duplicate={duplicate})\n',
        SConscript='Import("env")\nenv.BpfObject("one.bpf.c", include_dirs=["."], depends=["hidden.h"])\n',
        **{"hidden.h": "#define HIDDEN 1\n", "local.h": "#define LOCAL 1\n"},
    )
    project.edit("src/one.bpf.c", '"shared.h"', '"shared.h"\n#include <local.h>\n#define NAME "hidden.h"\n#include NAME')
    project.build("ARCH=x86_64")
    assert [entry["file"] for entry in project.commands()] == ["src/one.bpf.c"]
    for name in ("hidden.h", "local.h"):
        project.edit(f"src/{name}", "1\n", "2\nint more;\n")
        assert objects(project.build("ARCH=x86_64")) == {"v/x86_64/one.bpf.o"}, name


def test_a_generated_source_and_a_generated_header(declare):
    project = declare(
        COPY + 'plain = Environment(tools=[])\nplain.Command("gen/made.bpf.c", "src/made.in", copy)\n'
        'plain.Command("gen/inner.h", "src/inner.in", copy)\nenv.BpfObject("gen/made.bpf.c")\n',
        **{"inner.in": "#define INNER 1\n"},
    )
    (project.folder / "src/one.bpf.c").rename(project.folder / "src/made.in")
    project.edit("src/made.in", '"shared.h"', '"shared.h"\n#include "inner.h"')
    project.build("ARCH=x86_64")
    assert project.build("ARCH=x86_64") == set()
    project.edit("src/inner.in", "INNER 1", "INNER 2\nint more;")
    assert objects(project.build("ARCH=x86_64")) == {"x86_64/made.bpf.o"}
    (project.folder / "include/late.h").write_text("#define LATE 1\n")
    project.edit("src/made.in", '"shared.h"', '"shared.h"\n#include "late.h"')
    assert objects(project.build("ARCH=x86_64")) == {"x86_64/made.bpf.o"}


def test_names_with_blanks_dollars_and_bytes_that_are_no_utf8(declare):
    project = declare('env.BpfObject("src/one.bpf.c")\n')
    folder = os.fsencode(project.folder / "include/a $b #c")
    os.mkdir(folder)
    with open(folder + b"/h\xe4.h", "w") as header:
        header.write("#define ODD 1\n")
    source = project.folder / "src/one.bpf.c"
    source.write_bytes(source.read_bytes().replace(b'"shared.h"', b'"shared.h"\n#include "a $b #c/h\xe4.h"'))
    project.build("ARCH=x86_64")
    with open(folder + b"/h\xe4.h", "a") as header:
        header.write("int more;\n")
    assert objects(project.build("ARCH=x86_64")) == {"x86_64/one.bpf.o"}


@pytest.mark.parametrize(
    "body, message",
    [
        ('env.BpfProgram("sub/one", "src/one.bpf.c")', "'sub/one' is no name for an object"),
        ('env.BpfProgram("one", "src/one.bpf.c", app="nosuch")', "app: there is no folder nosuch; name the one that holds one's Python"),
        ('env.BpfPackage("one", "1", ["lib/one.bpf.o"], [])', "lib/one.bpf.o: no arch is called 'lib'"),
        ('env.MinimizedVmlinux("set", [])', "MinimizedVmlinux: set has no sources"),
        (
            'env.BpfObject("src/one.bpf.c", arch="arm64", header=env.MinimizedVmlinux("set", ["src/one.bpf.c"]))',
            "build/aarch64/one.bpf.o: its header is not made for aarch64, only for x86_64",
        ),
    ],
)
def test_a_declaration_that_can_not_be(declare, body, message):
    assert message in declare(body + "\n").fails("ARCH=x86_64")


def test_a_build_folder_that_can_not_be_used_is_told_in_one_line(project):
    shutil.rmtree(project.folder / "build")
    (project.folder / "build").write_text("")
    text = project.fails("ARCH=x86_64")
    assert text.startswith("scons: *** ") and "build: lies where the build makes a folder; move it away" in text and text.count("\n") == 1


def test_files_that_are_asked_for_or_embedded(declare):
    project = declare('env.BpfObject("src/one.bpf.c", depends=["src/table.bin"])\n', **{"table.bin": "a"})
    project.edit(
        "src/one.bpf.c",
        "char LICENSE",
        'const volatile char table[] = {\n#embed "table.bin"\n};\n#if __has_include("option.h")\nint option;\n#endif\nchar LICENSE',
    )
    project.build("ARCH=x86_64")
    for name in ("table.bin", "option.h"):
        (project.folder / "src" / name).write_text("b")
        assert objects(project.build("ARCH=x86_64")) == {"x86_64/one.bpf.o"}, name
