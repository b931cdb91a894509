"""A build folder or variant_dir outside of the project: the same bytes, nothing written in the tree, nothing else read."""

import json
import shutil
import subprocess
import time

import pytest
from read_only import read_only

X86 = "ARCH=x86_64"
MADE_HEADER = "static __attribute__((noinline)) int made(int a) { return a * 3; }\nconst char place[] = __FILE__;\n"
BODY = """
out = ARGUMENTS.get("OUT", "build")
env = ebpf(EBPF_BUILD=out)
env.Command(f"{out}/gen/made.h", "made.in", Copy("$TARGET", "$SOURCE"))
env.Command(f"{out}/gen/whole.bpf.c", "src/one.bpf.c", Copy("$TARGET", "$SOURCE"))
env.BpfProgram("one", "src/one.bpf.c", version="1", include_dirs=[f"{out}/gen"])
env.BpfObject(f"{out}/gen/whole.bpf.c", include_dirs=["src", f"{out}/gen"])
"""


@pytest.fixture
def outside(declare):
    """A project whose source and header are, in part, made in the build folder: OUT=."""
    project = declare(BODY)
    (project.folder / "made.in").write_text(MADE_HEADER)
    project.edit("src/one.bpf.c", '"shared.h"', '"shared.h"\n#include "made.h"\nint used(int a) { return made(a); }')
    return project


def files_below(folder):
    """The bytes of all files in a folder, but for what a build remembers and compile_commands.json."""
    own = (".ebpf-ledger", ".sconsign", "compile_commands.json")
    files = [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(own)]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def tree(project):
    """Each file of the project, and when it was written."""
    return {path: path.stat().st_mtime_ns for path in project.folder.rglob("*")}


def errors(done):
    return [line for line in done.stderr.splitlines() if "ebpf: fetched " not in line]


def ok(done):
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_every_output_has_the_same_bytes_wherever_the_build_folder_lies(outside, tmp_path):
    (tmp_path / "far").mkdir()
    (tmp_path / "link").symlink_to("far")
    ok(outside.scons(X86))
    kept = files_below(outside.folder / "build")
    assert b"build/gen/made.h" in kept["x86_64/one.bpf.o"] and b"./build/gen/whole.bpf.c" in kept["x86_64/whole.bpf.o"]
    (outside.folder / "build/gen/made.h").write_text("an older build's text\n" * 9)
    places = ["../o", f"{tmp_path}/{'long' * 30}/out", "../link/out", f"{tmp_path}/a b/c", "sub/of/the/project"]
    for place in places:
        before = tree(outside)
        ok(outside.scons(X86, f"OUT={place}", "SANDBOX=off" if place == "../o" else "SANDBOX=auto"))
        folder = (outside.folder / place).resolve()
        assert files_below(folder) == kept, place
        assert tree(outside) == before or place.startswith("sub"), place
    assert "up to date" in ok(outside.scons(X86, f"OUT={places[2]}"))
    (outside.folder / "build/gen/made.h").write_text(MADE_HEADER)
    assert "CLANG" not in ok(outside.scons(X86))


@pytest.mark.slow
def test_an_edit_rebuilds_and_c_removes_in_the_folder_that_is_named_and_there_only(outside, tmp_path):
    for place in ("../a", "../b"):
        ok(outside.scons(X86, f"OUT={place}"))
    before = files_below(tmp_path / "b")
    outside.edit("made.in", "3", "5")
    assert outside.scons(X86, "OUT=../a", "-q").returncode == 1
    assert f"CLANG    {tmp_path}/a/x86_64/one.bpf.o" in ok(outside.scons(X86, "OUT=../a"))
    assert files_below(tmp_path / "b") == before and files_below(tmp_path / "a") != before
    assert f"CLANG    {tmp_path}/b/x86_64/one.bpf.o" in ok(outside.scons(X86, "OUT=../b"))
    sources = tree(outside)
    ok(outside.scons(X86, "OUT=../a", "-c"))
    assert files_below(tmp_path / "a") == {} and tree(outside) == sources
    assert "up to date" in ok(outside.scons(X86, "OUT=../b"))


def test_what_somebody_edits_there_is_made_anew(outside, tmp_path):
    ok(outside.scons(X86, "OUT=../a"))
    before = files_below(tmp_path / "a")
    for path in ("x86_64/one.bpf.o", "x86_64/include/vmlinux.h", "libbpf/include/bpf/bpf_helpers.h", "x86_64/minimized/one/vmlinux.h"):
        (tmp_path / "a" / path).write_text("edited\n")
    ok(outside.scons(X86, "OUT=../a"))
    assert files_below(tmp_path / "a") == before


@pytest.mark.slow
def test_two_builds_of_one_tree_run_side_by_side(outside, tmp_path):
    """One of them waits in a step for what the other makes: had they to wait for each other, neither would end."""
    wait = f"while ! [ -e {tmp_path}/b/x86_64/one.bpf.o ]; do sleep 0.05; done; touch $TARGET"
    (outside.folder / "SConstruct").write_text(
        (outside.folder / "SConstruct").read_text()
        + f"if out.endswith('a'):\n    Requires('one', env.Command(out + '/waited', [], {wait!r}))\n"
    )
    first = outside.start(X86, "OUT=../a", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    while not (tmp_path / "a/.ebpf-ledger").exists():
        time.sleep(0.01)
    ok(outside.scons(X86, "OUT=../b"))
    text, _ = first.communicate(timeout=120)
    assert first.returncode == 0 and "waiting" not in text, text
    assert files_below(tmp_path / "a").items() >= files_below(tmp_path / "b").items()


@pytest.mark.slow
def test_a_tree_that_can_t_be_written_is_built_elsewhere(outside, tmp_path):
    before = tree(outside)
    for arguments in ((), ("-n",), ("-q",), ("--tree=prune",), ("prove",), ("sizes",), ("-c",)):
        done = read_only(outside, X86, "OUT=../out", *arguments)
        assert (done.returncode, errors(done)) == (0, []), (arguments, done.stdout)
    assert files_below(tmp_path / "out") == {} and tree(outside) == before
    ok(outside.scons(X86))
    assert tree(outside) != before


@pytest.mark.slow
def test_where_the_tree_can_t_be_written_the_build_folder_alone_must_be(outside):
    """As a container has it: the checkout read-only, a volume at build/. All that SCons remembers goes there."""
    (outside.folder / "build").mkdir(exist_ok=True)
    volume = "mount -t tmpfs none build && "
    done = read_only(outside, X86, before=volume, behind="&& ls -a build && scons")
    assert done.returncode == 0 and errors(done) == [], done.stderr
    assert ".sconsign.dblite" in done.stdout and "compile_commands.json" in done.stdout and "up to date" in done.stdout
    for there in (True, False):
        text = read_only(outside, X86).stderr
        assert text.count("\n") == 1 and "Read-only file system" in text and "EBPF_BUILD" in text
        if there:
            shutil.rmtree(outside.folder / "build")


def test_an_output_that_can_t_be_made_anew_is_told_with_what_to_do(outside):
    """SCons removes the old one before the step runs."""
    ok(outside.scons(X86))
    outside.edit("src/one.bpf.c", "pid", "tgid")
    text = read_only(outside, X86).stderr
    fix = "build/x86_64/one.bpf.o: Read-only file system; name a build folder that can be written: EBPF_BUILD"
    assert text == f"scons: *** [build/x86_64/one.bpf.o] {fix}\n"


def test_a_project_that_says_where_scons_remembers_is_heeded(outside, tmp_path):
    outside.edit("SConstruct", "out = ", f"SConsignFile('{tmp_path}/memory/own')\nout = ")
    ok(outside.scons(X86, "OUT=../a"))
    assert (tmp_path / "memory/own.dblite").exists() and not list((tmp_path / "a").glob(".sconsign*"))
    assert "up to date" in ok(outside.scons(X86, "OUT=../a"))


def test_another_name_of_a_folder_of_the_project_is_that_folder(outside, tmp_path):
    (tmp_path / "alias").symlink_to(outside.folder)
    ok(outside.scons(X86))
    assert "up to date" in ok(outside.scons(X86, f"OUT={tmp_path}/alias/build"))


def test_compile_commands_compile(outside, tmp_path, compiler):
    """clangd runs clang in the entry's folder, and finds the file by --compile-commands-dir."""
    ok(outside.scons(X86, "OUT=../a"))
    entries = json.loads((tmp_path / "a/compile_commands.json").read_text())
    assert {entry["directory"] for entry in entries} == {str(outside.folder)} and len(entries) == 2
    for entry in entries:
        command = [*compiler.argv, *entry["arguments"][1:], "-fsyntax-only"]
        done = subprocess.run(command, cwd=entry["directory"], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


def test_a_project_with_two_build_folders_lists_each_ones_compiles_in_its_own(declare, tmp_path):
    project = declare('env.BpfObject("src/one.bpf.c")\nenv.Clone(EBPF_BUILD="../a").BpfObject("src/two.bpf.c")\n')
    ok(project.scons(X86))
    assert [entry["file"] for entry in project.commands()] == ["src/one.bpf.c"]
    assert [entry["file"] for entry in json.loads((tmp_path / "a/compile_commands.json").read_text())] == ["src/two.bpf.c"]
    assert (project.folder / ".sconsign.dblite").exists() and not (tmp_path / "a/.sconsign.dblite").exists()
    assert "up to date" in ok(project.scons(X86))


def test_reproduce_asks_for_a_folder_inside(outside):
    text = outside.fails(X86, "OUT=../a", "reproduce")
    assert "/a, by EBPF_BUILD; have it inside for this command" in text


@pytest.mark.parametrize(
    "place, message",
    [
        ("..", " holds the project itself; name a folder of the build's own, in the project or elsewhere"),
        ("/", "EBPF_BUILD: / holds the project itself; "),
        ("../a=b", "/a=b has a = in its name, at which clang would cut it; rename it"),
        ("../a\\b", "/a\\b has a backslash in its name"),
    ],
)
def test_a_folder_that_can_t_be_a_build_folder(outside, place, message):
    text = outside.fails(X86, f"OUT={place}")
    assert message in text and text.count("\n") == 1


def test_nothing_else_outside_is_read(outside, tmp_path):
    (tmp_path / "secret.h").write_text("int secret;\n")
    (outside.folder / "made.in").write_text('#include "../../secret.h"\n' + MADE_HEADER)
    assert "../../secret.h is outside of the project; copy it into the project" in outside.fails(X86, "OUT=../a")
    (outside.folder / "made.in").write_text(f'#define NAME "{tmp_path}/secret.h"\n#include NAME\n' + MADE_HEADER)
    assert f"the compile read {tmp_path}/secret.h, which is outside" in outside.fails(X86, "OUT=../a")
    (outside.folder / "made.in").write_text(MADE_HEADER)
    outside.edit("SConstruct", '"src", f"{out}/gen"', '"src", f"{out}/../", f"{out}/gen"')
    assert f"include_dirs: {tmp_path} is outside of the project" in outside.fails(X86, "OUT=../a")


VARIANT = """
Import("env")
env.Command("made.h", "made.in", Copy("$TARGET", "$SOURCE"))
env.Command("whole.bpf.c", "one.bpf.c", Copy("$TARGET", "$SOURCE"))
env.BpfProgram("one", "one.bpf.c", version="1", include_dirs=".")
env.BpfObject("both", ["whole.bpf.c"])
"""


@pytest.fixture(params=[0, 1], ids=["in place", "copies"])
def variant(request, declare):
    """A project with a variant_dir: OUT=, and EBPF_BUILD: BUILD=."""
    body = 'env = ebpf(EBPF_BUILD=ARGUMENTS.get("BUILD", "build"))\n'
    body += f'SConscript("src/SConscript", "env", variant_dir=ARGUMENTS["OUT"], duplicate={request.param})\n'
    project = declare(body, SConscript=VARIANT, **{"made.in": MADE_HEADER, "local.h": "int local;\n"})
    names = '"shared.h"\n#include "made.h"\n#include <local.h>\nint used(int a) { return made(a); }'
    project.edit("src/one.bpf.c", '"shared.h"', names)
    return project


@pytest.mark.slow
def test_a_variant_dir_outside_gives_what_one_in_the_build_folder_gives(variant, tmp_path):
    ok(variant.scons(X86, "OUT=build/debug"))
    kept = files_below(variant.folder / "build/debug")
    assert {"x86_64/one.bpf.o", "x86_64/both.bpf.o", "x86_64/one_skel.py"} <= kept.keys()
    for out, build in (("../v/debug", "build"), ("../b/debug", "../b"), (f"{tmp_path}/{'far' * 20}/debug", "../c")):
        arguments = X86, f"OUT={out}", f"BUILD={build}"
        ok(variant.scons(*arguments))
        assert files_below((variant.folder / out).resolve()) == kept, out
        assert "up to date" in ok(variant.scons(*arguments))
    variant.edit("src/local.h", "local", "other")
    variant.edit("src/made.in", "3", "5")
    assert ok(variant.scons(*arguments)).count("CLANG ") == 2
    before = tree(variant)
    ok(variant.scons(*arguments, "-c"))
    left = files_below((variant.folder / out).resolve())
    assert not [path for path in left if path.endswith((".o", ".whl", ".tar", "made.h"))] and tree(variant) == before


def test_of_a_variant_dir_outside_only_what_builders_make_is_read(variant, tmp_path):
    """It may be any folder of the machine, with headers that aren't the project's."""
    (tmp_path / "usr").mkdir()
    (tmp_path / "usr/foreign.h").write_text("int foreign;\n")
    variant.edit("src/one.bpf.c", "<local.h>", "<local.h>\n#if __has_include(<foreign.h>)\nint found;\n#endif")
    text = variant.fails(X86, "OUT=../usr")
    assert "src/one.bpf.c:" in text and "foreign.h is outside of the project; copy it into the project" in text
    (tmp_path / "usr/foreign.h").unlink()
    ok(variant.scons(X86, "OUT=../usr"))
