"""A stock CacheDir, an input edited while it is compiled, and whatever lies in an output's place."""

import os
import pickle
import shlex
import signal
import subprocess
import sys
import time

import pytest
from slow import slow_after

X86 = "ARCH=x86_64"


@pytest.mark.usefixtures("one_program")
def test_a_stock_cachedir_neither_serves_nor_takes_and_one_notice_says_so(project):
    project.edit("SConstruct", "env.Ebpf", 'CacheDir("cache")\nenv.Ebpf')
    done = project.scons(X86)
    assert done.returncode == 0 and done.stderr.count("CacheDir ") == 1
    assert not [path for path in (project.folder / "cache").rglob("*") if len(path.name) > 20]
    before = project.digests()
    subprocess.run(["rm", "-rf", "build"], cwd=project.folder, check=True)
    project.build(X86)
    assert project.digests() == before
    assert project.build(X86) == set()


EDITING = """#!/bin/sh
case " $* " in *" -c src/one.bpf.c "*) if [ -e edit ]; then
  cp -p src/one.bpf.c kept; echo 'int more;' >> src/one.bpf.c; {compiler} "$@"; status=$?; cp -p kept src/one.bpf.c; exit $status
fi;; esac
exec {compiler} "$@"
"""


def test_an_input_edited_while_it_is_compiled_and_put_back_leaves_no_object(project, compiler):
    wrapper = project.folder / "clang"
    wrapper.write_text(EDITING.format(compiler=shlex.join([compiler.argv[0], "clang"])))
    wrapper.chmod(0o755)
    project.edit("toolchain.toml", 'package = "ziglang"', 'path = "clang"')
    (project.folder / "edit").touch()
    text = project.fails(X86, "one")
    assert "src/one.bpf.c: changed while it was compiled; build again" in text
    assert not (project.folder / "build/x86_64/one.bpf.o").exists()
    (project.folder / "edit").unlink()
    assert "x86_64/one.bpf.o" in project.build(X86)
    assert project.build(X86) == set()


def test_a_step_that_failed_after_its_work_leaves_nothing_for_the_sources_before(declare):
    """SCons knows the object by its old source: once that is back, what the failed step made passed for its object."""
    project = declare("""
object = env.BpfObject("src/version.bpf.c")
env.AddPostAction(object, "test ! -e fail")
""", **{"version.bpf.c": "int version = 1;\n"})
    project.build(X86)
    first = project.digests()
    project.edit("src/version.bpf.c", "= 1", "= 2")
    (project.folder / "fail").touch()
    project.fails(X86)
    (project.folder / "fail").unlink()
    project.edit("src/version.bpf.c", "= 2", "= 1")
    project.build(X86)
    assert project.digests() == first
    assert project.build(X86) == set()


def test_a_command_that_makes_nothing_is_told(declare):
    """It was told as an edit during the build, for ever."""
    project = declare("""
env.Command("src/made.h", [], "echo >unmade $TARGET")
env.BpfObject("src/includes.bpf.c")
""", **{"includes.bpf.c": '#include "made.h"\n'})
    text = project.fails(X86)
    assert "src/made.h: its builder ran and didn't make it; have the command write to $TARGET, which SCons quotes\n" in text
    project.edit("SConstruct", ">unmade", ">")
    project.build(X86)


def put(kind, place):
    """Puts something that is no file in a file's place."""
    if place.is_dir() and not place.is_symlink():
        place.rmdir()
    place.unlink(missing_ok=True)
    place.parent.mkdir(parents=True, exist_ok=True)
    if kind == "dangling":
        place.symlink_to("nowhere")
    elif kind == "zero":
        place.symlink_to("/dev/zero")
    elif kind == "fifo":
        os.mkfifo(place)
    else:
        place.mkdir()


KINDS = "dangling", "zero", "fifo", "folder"
PLACES = (
    "x86_64/one.bpf.o", "one_skel.py", "x86_64/include/vmlinux.h", "libbpf/headers.sha256", ".ebpf-ledger",
    "x86_64/minimized/one/vmlinux.h", "x86_64/python/one/py.typed", "x86_64/python/one/manifest.json", "../.sconsign_sha256.dblite",
)  # fmt: skip


NODES = PLACES[:4]  # SCons itself refuses a folder there


@pytest.mark.parametrize("kind", slow_after(2, KINDS))
@pytest.mark.usefixtures("one_program")
def test_what_lies_in_an_output_s_place_is_repaired(project, kind):
    project.build(X86)
    before = project.digests(".o", ".py", ".h", ".whl", ".typed", ".sha256")
    for place in PLACES:
        file = project.folder / "build" / place
        if file.exists() and not (kind == "folder" and place in NODES):
            put(kind, file)
    project.build(X86)
    assert project.digests(".o", ".py", ".h", ".whl", ".typed", ".sha256") == before
    assert project.build(X86) == set()


@pytest.mark.usefixtures("one_program")
def test_a_folder_with_files_in_an_output_s_place_is_told(project):
    project.build(X86)
    place = project.folder / "build/x86_64/one.bpf.o"
    put("folder", place)
    (place / "mine").touch()
    assert "build/x86_64/one.bpf.o found where file expected" in project.fails(X86)
    assert (place / "mine").exists()


@pytest.mark.usefixtures("one_program")
def test_py_typed_edited_or_deleted_is_repaired(project):
    project.build(X86)
    file = next((project.folder / "build").rglob("one/py.typed"))
    file.write_text("edited")
    project.build(X86)
    assert file.read_text() == ""
    file.unlink()
    project.build(X86)
    assert file.exists()


DAMAGE = {
    "list": pickle.dumps([1]),
    "number": pickle.dumps(7),
    "texts": pickle.dumps({"src": "text"}),
    "entries": pickle.dumps({"src": pickle.dumps({"one.bpf.c": 1}), ".": pickle.dumps([2])}),
    "garbage": bytes(range(256)) * 8,
    "cut": pickle.dumps({"src": b"x" * 99})[:40],
    "deep": b"[" * 100_000,
}


@pytest.mark.slow
@pytest.mark.parametrize("data", slow_after(4, DAMAGE.values()), ids=DAMAGE)
def test_a_damaged_memory_costs_a_build_and_no_traceback(built, data):
    """Of SCons, and of this tool; tests/faults damages them at random."""
    before = built.digests(".o", ".whl")
    for name in (".sconsign_sha256.dblite", "build/.ebpf-ledger"):
        (built.folder / name).write_bytes(data)
    built.build("ARCH=x86_64,aarch64")
    assert built.digests(".o", ".whl") == before
    (built.folder / "build/.ebpf-ledger").write_bytes(data)
    built.build("ARCH=x86_64,aarch64")
    assert built.digests(".o", ".whl") == before
    assert built.build("ARCH=x86_64,aarch64") == set()


def test_an_interrupt_ends_the_wait_for_another_build(project):
    hold = "import fcntl, os, sys; fcntl.flock(os.open('.', os.O_RDONLY), fcntl.LOCK_EX); print(flush=True); sys.stdin.read()"
    holder = subprocess.Popen([sys.executable, "-c", hold], cwd=project.folder, stdin=-1, stdout=-1)
    holder.stdout.readline()
    with open(project.folder / "log", "w+") as log:
        build = project.start(X86, stdout=log, stderr=log)
        text = lambda: (project.folder / "log").read_text()
        deadline = time.monotonic() + 100
        while not text() and time.monotonic() < deadline:
            time.sleep(0.05)
        build.send_signal(signal.SIGINT)
        assert build.wait(timeout=60) == 2, text()
    first, *rest = text().splitlines()
    assert first.startswith("ebpf: waiting for another build in") and rest == ["scons: Build interrupted."]
    holder.communicate()
    assert project.build(X86)


@pytest.mark.usefixtures("one_program")
def test_two_builds_in_one_tree_take_turns(project):
    with open(project.folder / "SConstruct", "a") as script:  # the first declaration locks the tree
        script.write("import time\nwhile not os.path.exists('go'): time.sleep(0.05)\n")
    logs = [open(project.folder / f"log{number}", "w+") for number in (1, 2)]
    builds = [project.start(X86, stdout=log, stderr=log) for log in logs]
    text = lambda: "".join((project.folder / log.name).read_text() for log in logs)
    deadline = time.monotonic() + 100
    while "waiting for another build in" not in text():
        assert time.monotonic() < deadline, text()
        time.sleep(0.05)
    (project.folder / "go").touch()
    assert [build.wait(timeout=120) for build in builds] == [0, 0], text()
    assert text().count("waiting for another build in") == 1
    assert "is up to date" in text()
    assert project.build(X86) == set()


def test_a_build_within_a_build_is_told(project):
    with open(project.folder / "SConstruct", "a") as script:
        script.write(f'\nenv["ENV"] = dict(os.environ)\nenv.Command("inner", [], [[{sys.executable!r}, "-m", "SCons", "-Q", "one"]])\n')
    assert "was started by a step of another one in the same folder" in project.fails(X86, "inner")
