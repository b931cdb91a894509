"""The caller's environment changes no byte, and the graph knows every file that a compile reads."""

import re
import subprocess
import sys

import pytest
from ebpfbuild.compile.args import CompileArgs
from ebpfbuild.host_tools import CLEAN_ENVIRONMENT


def test_a_hostile_environment_changes_no_byte(make_project, tmp_path):
    clean, hostile = make_project("clean"), make_project("hostile")
    evil = tmp_path / "evil"
    evil.mkdir()
    for name in ("vmlinux.h", "shared.h"):
        (evil / name).write_text("#error evil\n")
    home = tmp_path / "home"
    site = home / ".scons" / "site_scons"
    (site / "site_tools" / "ebpf").mkdir(parents=True)
    (site / "site_tools" / "ebpf" / "__init__.py").write_text("def generate(env): raise SystemExit('the wrong tool')\ndef exists(env): return True\n")
    (site / "site_init.py").write_text(f"import os\nos.environ['CPATH'] = {str(evil)!r}\n")
    (home / ".netrc").write_text("machine example.invalid login a password b\n")
    clean.build("ARCH=x86_64")
    hostile.build(
        "ARCH=x86_64",
        HOME=str(home),
        CPATH=str(evil),
        C_INCLUDE_PATH=str(evil),
        CCC_OVERRIDE_OPTIONS="+-DEVIL +-O0",
        CFLAGS="-O0",
        CC="false",
        SCONSFLAGS="--debug=count --max-drift=1",
        SOURCE_DATE_EPOCH="1",
        LC_ALL="tr_TR.UTF-8",
        PYTHONHASHSEED="7",
    )
    suffixes = (".o", ".py", ".whl", ".h", ".json")
    assert hostile.digests(*suffixes) == clean.digests(*suffixes)


@pytest.mark.slow
def test_umask_changes_no_byte_and_outputs_are_readable(make_project):
    first, second = make_project("first"), make_project("second")
    first.build("ARCH=x86_64")
    done = subprocess.run(
        ["sh", "-c", 'umask 077; exec "$@"', "sh", *second.command, "ARCH=x86_64"], **second.place(), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert first.digests(".whl", ".o") == second.digests(".whl", ".o")
    assert (second.folder / "build/x86_64/one.bpf.o").stat().st_mode & 0o777 == 0o644


def test_an_include_by_macro_is_an_undeclared_input_until_it_is_declared(project):
    (project.folder / "include/hidden.h").write_text("#define HIDDEN 1\n")
    project.edit("src/one.bpf.c", '#include "shared.h"', '#include "shared.h"\n#define NAME "hidden.h"\n#include NAME')
    text = project.fails("ARCH=x86_64", "one")
    assert "src/one.bpf.c: the compile read include/hidden.h, which the build graph does not know; " in text
    assert not (project.folder / "build/x86_64/one.bpf.o").exists()
    project.edit("SConstruct", 'version="1.0"', 'version="1.0", depends=["include/hidden.h"]')
    project.build("ARCH=x86_64", "one")
    project.edit("include/hidden.h", "HIDDEN 1", "HIDDEN 2\nint hidden;")
    assert "x86_64/one.bpf.o" in project.build("ARCH=x86_64", "one")


def test_a_header_of_the_machine_is_not_in_sight(project):
    project.edit("src/one.bpf.c", '#include "shared.h"', '#include "shared.h"\n#include <pthread.h>')
    text = project.fails("ARCH=x86_64", "one")
    assert "src/one.bpf.c:4:10: 'pthread.h' file not found" in text


def test_an_absolute_include_is_an_undeclared_input(project, tmp_path):
    (tmp_path / "outside.h").write_text("\n")
    project.edit("src/one.bpf.c", '#include "shared.h"', f'#include "shared.h"\n#define OUT "{tmp_path}/outside.h"\n#include OUT')
    assert f"the compile read {tmp_path}/outside.h" in project.fails("ARCH=x86_64", "one")


def test_the_object_is_what_a_plain_clang_call_makes(built, compiler):
    """Instruction for instruction: the sections that the kernel gets, byte for byte."""
    from ebpfbuild.arch import arch_named
    from ebpfbuild.elf.reader import Elf

    args = CompileArgs(
        compiler.argv, arch_named("x86_64"), "src/one.bpf.c", "plain.o", "build/x86_64/include", "build/libbpf/include", ("include",)
    )
    command = [*args.clang, "-target", "bpfel", "-mcpu=v3", "-O2", "-g", "-fms-extensions", "-Iinclude", "-Ibuild/x86_64/include"]
    command += ["-Ibuild/libbpf/include", "-D__TARGET_ARCH_x86", "-c", args.source, "-o", args.output]
    subprocess.run(command, cwd=built.folder, env=CLEAN_ENVIRONMENT, check=True, capture_output=True)
    plain, ours = (Elf.parse((built.folder / path).read_bytes()) for path in ("plain.o", "build/x86_64/one.bpf.o"))
    for name in ("raw_tp/sys_enter", "license", ".maps"):
        assert _bytes(ours, name) == _bytes(plain, name), name


def _bytes(elf, name):
    return next(section.data for section in elf.sections if section.name == name)


def test_compile_commands_hold_every_object_of_every_arch(project):
    project.build("ARCH=x86_64,s390x")
    entries = project.commands()
    assert [(entry["file"], entry["output"]) for entry in entries] == [
        (f"src/{name}.bpf.c", f"build/{arch}/{name}.bpf.o") for name in ("one", "three", "two") for arch in ("s390x", "x86_64")
    ]
    assert all(entry["directory"] == str(project.folder) and entry["arguments"][0] == "clang" for entry in entries)
    project.build("ARCH=x86_64", "CFLAGS=-DFRESH", "build/x86_64/one.bpf.o")
    assert len(project.commands()) == 3
    assert all("-DFRESH" in entry["arguments"] for entry in project.commands())


def test_help_shows_the_tool_s_options_and_commands_behind_the_project_s_own_words(project):
    project.edit("SConstruct", "env = Env", 'Help("My tools\\n")\nenv = Env')
    text = project.scons("-h").stdout
    assert text.startswith("My tools\n")
    assert all(f"\n  {word}" in text for word in ("ARCH=", "MIRROR=", "MINIMIZE=", "--offline", "prove", "sizes", "why sock"))


@pytest.mark.parametrize("name", ["go", "a-long-name-of-a-command"])
def test_the_help_lists_the_project_s_own_commands(declare, name):
    body = f'env.EbpfRun("{name}", env.BpfProgram("one", "src/one.bpf.c"), "one")\nenv.EbpfTest("check", "tests")\n'
    done = declare(body + 'Help("My tools\\n")\n').scons("-h")
    assert done.returncode == 0 and "My tools\n" in done.stdout
    assert f"\n  {name:<13} build and become python -m one; ARGS= goes to it\n" in done.stdout
    assert "\n  check         run the tests in tests; ARGS= goes to pytest\n" in done.stdout


def test_what_is_up_to_date_is_one_line_or_none(project):
    text = (project.folder / "SConstruct").read_text().replace("Default(env.Bpf", "(env.Bpf")
    (project.folder / "SConstruct").write_text(text + 'Default("programs")\n')
    project.build("ARCH=x86_64")
    assert project.scons("ARCH=x86_64").stdout == "scons: `programs' is up to date.\n"
    project.edit("src/one.bpf.c", "int one(", "int one_more(")
    assert "is up to date" not in project.scons("ARCH=x86_64").stdout


def test_big_endian_objects_for_s390x(project):
    project.build("ARCH=s390x")
    assert (project.folder / "build/s390x/one.bpf.o").read_bytes()[5] == 2  # EI_DATA: ELFDATA2MSB


@pytest.mark.parametrize("jobs", ["-j1", "-j8"])
def test_parallel_builds(project, jobs):
    assert len([path for path in project.build("ARCH=x86_64,aarch64,s390x", jobs) if path.endswith(".o")]) == 9


def test_nothing_is_fetched_while_sconscripts_are_read(project):
    done = project.scons("ARCH=x86_64", "-n")
    assert done.returncode == 0
    assert not project.cache.exists()
    assert "CLANG    build/x86_64/one.bpf.o" in done.stdout


def test_clean_removes_what_was_built(built):
    built.scons("ARCH=x86_64,aarch64", "-c")
    assert built.digests(".o", ".py", ".whl", "vmlinux.h") == {}


@pytest.mark.parametrize("argument", ["CACHE=", "CACHE=http://127.0.0.1:1", "MIRROR=http://127.0.0.1:1", "MIRROR=src"])
def test_a_null_build_imports_nothing_heavy(built, argument):
    command = [sys.executable, "-X", "importtime", *built.command[1:], "ARCH=x86_64,aarch64", argument]
    done = subprocess.run(command, **built.place(), capture_output=True, text=True)
    assert done.returncode == 0 and "is up to date" in done.stdout
    modules = set(re.findall(r"\| +([\w.]+)$", done.stderr, re.MULTILINE))
    assert "ebpfbuild.rebuild.ledger" in modules
    assert sorted(modules & {"requests", "jinja2", "pycparser", "urllib3", "zipfile", "base64"}) == []
    core = {module for module in modules if module.startswith("ebpfbuild.")}
    at_work = r"(btf|elf|spec|prove|minimize|fetch|link|release|step_cache)\.|compile\.(object|lexer|database)|package\.(pack|wheel)|cflags|uapi\.text"
    assert [module for module in sorted(core) if re.match(rf"ebpfbuild\.({at_work})", module)] == []


COUNTED = """
import atexit, gc, sys
calls = [0]
def count(frame, event, argument):
    calls[0] += event == "call"
sys.setprofile(count)
atexit.register(lambda: print(f"{calls[0]} calls, {gc.get_threshold()[0]} objects, {gc.get_freeze_count()} frozen"))
"""


def test_a_null_build_s_cost_for_each_program(built):
    """Calls of Python functions, which no busy machine changes: 6600 with SCons 4.11 on Python 3.11, two arches."""
    sconstruct = (built.folder / "SConstruct").read_text()
    counts = []
    for programs in ('("one",)', '("one", "two", "three")'):
        (built.folder / "SConstruct").write_text(COUNTED + sconstruct.replace('("one", "two", "three")', programs))
        assert built.build("ARCH=x86_64,aarch64") == set()
        found = re.search(r"^(\d+) calls, (\d+) objects, (\d+) frozen$", built.scons("ARCH=x86_64,aarch64").stdout, re.MULTILINE)
        counts.append(int(found[1]))
        assert int(found[2]) >= 100_000 and int(found[3]) > 0
    assert (counts[1] - counts[0]) / 2 < 7500, counts


@pytest.mark.parametrize("option", ["--offline", ""])
def test_offline_and_the_mirror_reach_the_tests(project, option):
    """`./sconsw --offline test`: what the tests fetch asks no network either."""
    project.edit("SConstruct", '("CFLAGS")', '("CFLAGS", "ARGS")')
    project.edit("SConstruct", "for name", 'env.EbpfTest("test", "tests")\nfor name')
    (project.folder / "tests").mkdir()
    (project.folder / "tests/test_told.py").write_text(
        "import os\ndef test_told():\n"
        f"    assert os.environ.get('SCONS_BPF_OFFLINE') == {('1' if option == '--offline' else None)!r}\n"
        "    assert os.path.isdir(os.environ['SCONS_BPF_MIRROR'])\n"
    )
    done = project.scons("test", "MIRROR=pins", "ARGS=-n0", *filter(None, [option]))
    assert done.returncode == 0 and "1 passed" in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize(
    "arguments, ran",
    [
        ("", "ab"), ("tests/test_a.py", "a"), ("tests/test_b.py::test_b", "b"), ("-x tests/test_a.py", "a"), ("tests -k test_b", "b"),
        ("-k tests", "ab"), ("-k b", "b"), ("--ignore tests/test_a.py", "b"), ("--deselect=tests/test_a.py::test_a", "b"),
    ],
)  # fmt: skip
def test_a_path_in_args_narrows_the_tests(project, arguments, ran):
    project.edit("SConstruct", '("CFLAGS")', '("CFLAGS", "ARGS")')
    project.edit("SConstruct", "for name", 'env.EbpfTest("test", "tests")\nfor name')
    (project.folder / "tests").mkdir()
    for name in "ab":
        (project.folder / f"tests/test_{name}.py").write_text(f"def test_{name}():\n    open({name!r}, 'w').close()\n")
    done = project.scons("test", f"ARGS=-n0 {arguments}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "".join(name for name in "ab" if (project.folder / name).exists()) == ran
