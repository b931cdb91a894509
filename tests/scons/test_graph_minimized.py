"""MinimizedVmlinux in the graph: which header a program gets, and what a change of its names costs."""

import re

import pytest


def header(project, program, arch="x86_64"):
    return (project.folder / f"build/{arch}/minimized/{program}/vmlinux.h").read_text()


def test_each_program_gets_what_it_names(project):
    project.build("ARCH=x86_64,aarch64")
    assert "struct task_struct {" in header(project, "one")
    assert "struct pid_link {" in header(project, "one"), "an anonymous tagged member is a member by value"
    assert "struct task_struct" not in header(project, "three")
    assert "struct pt_regs" not in header(project, "one")


def test_the_header_says_what_it_is(project):
    project.build("ARCH=aarch64")
    lines = header(project, "one", "aarch64").splitlines()
    assert re.fullmatch(r" \* header:  Linux 6.19, aarch64, sha256 [0-9a-f]{64}", lines[2])
    assert lines[3:5] == [" * program: one", " * mode:    exact"]
    assert re.fullmatch(r" \* kept:    \d+ of \d+ declarations, \d+ more are only declared", lines[5])


@pytest.mark.parametrize("mode", ["off", "exact", "lean", "fields"])
@pytest.mark.usefixtures("one_program")
def test_the_mode_on_the_command_line_overrides(project, mode):
    made = project.build("ARCH=x86_64", f"MINIMIZE={mode}")
    assert ("x86_64/minimized/one/vmlinux.h" in made) == (mode != "off")
    if mode != "off":
        assert f" * mode:    {mode}" in header(project, "one")


def test_a_mode_that_is_none(project):
    assert "MINIMIZE=most: no such mode; take one of off, exact, lean, fields" in project.fails("MINIMIZE=most")


@pytest.mark.slow
def test_a_body_that_names_the_same_keeps_the_header(built):
    before = header(built, "one")
    built.edit("src/one.bpf.c", "task->pid % LIMIT", "(task->pid + 1) % LIMIT")
    made = built.build("ARCH=x86_64")
    assert "x86_64/one.bpf.o" in made
    assert header(built, "one") == before


def test_exact_and_off_make_the_same_instructions(make_project):
    from ebpfbuild.elf.reader import Elf

    code = []
    for mode in ("exact", "off"):
        project = make_project(mode)
        project.build("ARCH=x86_64", f"MINIMIZE={mode}")
        elf = Elf.parse((project.folder / "build/x86_64/one.bpf.o").read_bytes())
        code.append([(section.name, section.data) for section in elf.sections if section.name in ("raw_tp/sys_enter", "license")])
    assert len(code[0]) == 2 and code[0] == code[1]


def test_one_header_for_a_set_of_programs(project):
    project.declare(
        "shared = env.MinimizedVmlinux('shared', ['src/one.bpf.c', 'src/three.bpf.c'])\n"
        "for name in ('one', 'three'):\n"
        "    Default(env.BpfProgram(name, f'src/{name}.bpf.c', header=shared))\n"
    )
    made = project.build("ARCH=x86_64,aarch64")
    assert {path for path in made if "minimized" in path and path.endswith(".h")} == {f"{arch}/minimized/shared/vmlinux.h" for arch in ("x86_64", "aarch64")}
    assert " * program: shared" in header(project, "shared")
    assert "struct task_struct {" in header(project, "shared")


@pytest.mark.usefixtures("one_program")
def test_a_program_whose_macro_is_named_like_a_member_still_builds(project):
    project.edit("src/one.bpf.c", '#include "vmlinux.h"', '#define tgid tgid_renamed\n#include "vmlinux.h"')
    done = project.scons("ARCH=x86_64")
    assert done.returncode == 0, done.stderr
    assert "one (x86_64): using the full header, since the program defines tgid before it" in done.stderr


@pytest.mark.slow
def test_an_edited_minimized_header_is_repaired(built):
    good = header(built, "one")
    path = built.folder / "build/x86_64/minimized/one/vmlinux.h"
    path.write_text(good + "#define pid tgid\n")
    built.build("ARCH=x86_64,aarch64")
    assert header(built, "one") == good


def test_a_minimized_header_that_is_gone_is_made_again(built):
    path = built.folder / "build/x86_64/minimized/one/vmlinux.h"
    good = path.read_text()
    path.unlink()
    assert "x86_64/minimized/one/vmlinux.h" in built.build("ARCH=x86_64,aarch64")
    assert path.read_text() == good


def test_clean_removes_the_header_with_its_object(built):
    assert built.scons("ARCH=x86_64,aarch64", "-c").returncode == 0
    assert not list((built.folder / "build").rglob("minimized/*/vmlinux.h"))


@pytest.mark.usefixtures("one_program")
def test_fields_keeps_what_the_program_names_and_is_proven(project):
    project.build("ARCH=x86_64", "MINIMIZE=fields")
    assert "int pid;" in header(project, "one") and "int tgid;" not in header(project, "one")


@pytest.mark.usefixtures("one_program")
def test_fields_steps_back_where_a_size_shows(project):
    """`task + 1` puts the struct's size into the code: the type is kept whole, and the build says so."""
    project.edit("src/one.bpf.c", "task->pid % LIMIT", "(task + 1)->pid % LIMIT")
    done = project.scons("ARCH=x86_64", "MINIMIZE=fields")
    assert done.returncode == 0, done.stderr
    assert "one (x86_64): minimize=fields: keeping " in done.stderr or "int tgid;" in header(project, "one")
    assert "int tgid;" in header(project, "one")


def test_an_index_that_somebody_planted_in_the_cache_changes_nothing(built):
    """It is whole and names each type, but lacks a member: a build that believed it would lay the struct out otherwise."""
    from ebpfbuild.minimize.index import dump_index, index_header, load_index

    good = built.digests(".bpf.o")
    for path in (built.cache / "index").iterdir():
        planted = load_index(path.read_bytes()).text.replace("\tstruct pid_link;\n", "")
        path.write_bytes(dump_index(index_header(planted)))
    built.edit("src/one.bpf.c", "task->pid % LIMIT", "(task->pid + 1) % LIMIT")
    built.build("ARCH=x86_64,aarch64")
    built.edit("src/one.bpf.c", "(task->pid + 1) % LIMIT", "task->pid % LIMIT")
    built.build("ARCH=x86_64,aarch64")
    assert built.digests(".bpf.o") == good
