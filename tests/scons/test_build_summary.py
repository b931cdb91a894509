"""What a build says at its end: what it made, and nothing where it made nothing."""

import os
import re
import subprocess

import pytest
from ebpfbuild.console import amount

BOTH = "ARCH=x86_64,aarch64"


def made(project, *arguments):
    """The lines of the summary without `MADE`, blanks and seconds made alike."""
    done = project.scons(*arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    found = [" ".join(line.split()[1:]) for line in lines if line.startswith("MADE")]
    assert not found or lines[-1].startswith("MADE     in "), done.stdout
    return [re.sub(r"^in [0-9.]+ s(, (not )?sandboxed.*)?$", "in … s", line) for line in found]


def row(project, path, proof):
    """An object's line."""
    build = project.folder / "build"
    size = (build / path).stat().st_size
    lines = (build / path).parent.joinpath("minimized/one/vmlinux.h").read_bytes().count(b"\n")
    return f"build/{path} {f'{size / 1e3:.0f} kB' if size >= 1000 else f'{size} bytes'} vmlinux.h of {lines} lines {proof}"


def test_a_build_ends_with_its_objects_wheel_and_tar(one_program, project):
    lines = made(project, BOTH)
    assert lines[:2] == [row(project, f"{arch}/one.bpf.o", "not proven") for arch in ("aarch64", "x86_64")]
    assert [line.split()[0] for line in lines[2:]] == ["build/dist/one-1.0-any.tar", "build/dist/one-1.0-py3-none-any.whl", "in"]
    wheel = project.folder / "build/dist/one-1.0-py3-none-any.whl"
    assert lines[3].split()[1:] == amount(wheel.stat().st_size).split()


def test_only_what_was_made_is_told(one_program, project):
    project.build(BOTH)
    assert made(project, BOTH) == []
    (project.folder / "build/x86_64/one.bpf.o").unlink()
    assert made(project, BOTH) == [row(project, "x86_64/one.bpf.o", "not proven"), "in … s"]


@pytest.mark.parametrize("argument, proof", [("PROVE=1", "proven"), ("MINIMIZE=off", "full header")])
def test_a_proof_and_the_full_header_are_told(one_program, project, argument, proof):
    line = made(project, "ARCH=x86_64", argument)[0]
    assert line.startswith("build/x86_64/one.bpf.o ") and line.endswith(f" lines {proof}")


@pytest.mark.parametrize("argument", ["--silent", "-s", "-n", "-c", "-h", "prove"])
def test_runs_that_say_it_otherwise_or_make_nothing_are_quiet(one_program, project, argument):
    done = project.scons("ARCH=x86_64", argument)
    assert done.returncode == 0 and "MADE" not in done.stdout
    assert done.stdout == "" or argument not in ("--silent", "-s")


def test_who_reads_no_further_gets_no_traceback(one_program, project):
    """As `sconsw | head` and `sconsw | grep -q` do."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as output:
        command = [*project.command, "ARCH=x86_64"]
        done = subprocess.run(command, **project.place(), stdout=output, stderr=subprocess.PIPE, text=True)
    assert "Traceback" not in done.stderr and "Exception ignored" not in done.stderr
    assert (project.folder / "build/x86_64/one.bpf.o").exists()


def test_a_failure_is_the_last_that_is_told(project):
    project.edit("src/two.bpf.c", "SEC(", "oops SEC(")
    text = project.fails("ARCH=x86_64", "-k")
    assert "MADE" not in text and "oops" in text


def test_a_command_tells_it_before_it_becomes_the_program(one_program, project, tmp_path):
    (project.folder / "app").mkdir()
    for name, text in (("__init__.py", ""), ("__main__.py", "print('started')")):
        (project.folder / "app" / name).write_text(text)
    project.edit("SConstruct", "Default(env.BpfProgram(name,", 'env.EbpfRun("go", env.BpfProgram(name, app="app", source=')
    project.edit("SConstruct", 'split()))', 'split()), "one")')
    lines = project.scons(f"ARCH={os.uname().machine}", "go").stdout.splitlines()
    assert lines[-1] == "started" and lines[-2].startswith("MADE     in ")
    # By sudo, bytecode would be root's in a folder that the user then can't remove.
    assert not [path for path in project.folder.rglob("*") if path.suffix == ".pyc" and "one" in path.parts]


def test_prove_counts(project):
    lines = project.scons("ARCH=x86_64", "prove").stdout.splitlines()
    counts = [re.search(r"^CLANG .*\((\d of 3)\)$", line) for line in lines]
    assert [found[1] for found in counts if found] == ["1 of 3", "2 of 3", "3 of 3"]
    project.edit("src/one.bpf.c", "SEC(", "int more; SEC(")
    lines = project.scons("ARCH=x86_64", "prove").stdout.splitlines()
    assert sum(line.startswith("CLANG") for line in lines) == 1
    assert "CLANG    build/x86_64/one.bpf.o (1 of 3)" in lines or "CLANG    build/x86_64/one.bpf.o (3 of 3)" in lines
