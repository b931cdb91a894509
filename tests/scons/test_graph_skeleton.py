"""Skeletons in Python and C by real scons: what they are made of, and what makes them anew."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

BOTH = "ARCH=x86_64,aarch64"
LOADER = Path(__file__).resolve().parents[2] / "loader"
RING = """#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
struct first { int a; };
struct second { long long b; };
const struct first *first_unused;
const struct second *second_unused;
struct {
	int (*type)[27];
	int (*max_entries)[4096];
} ring __attribute__((section(".maps"), used));
char LICENSE[] __attribute__((section("license"), used)) = "GPL";
"""


def skeletons(paths):
    return {path for path in paths if "_skel" in path}


def test_objects_of_several_arches_give_one_module(declare):
    project = declare('env.BpfSkeleton(env.BpfObject("src/one.bpf.c"))\nenv.BpfSkeleton(env.BpfObject("src/two.bpf.c", arch="s390x"))\n')
    assert skeletons(project.build(BOTH)) == {"one_skel.py", "one_skel.pyi", "s390x/two_skel.py", "s390x/two_skel.pyi"}
    code = "import one_skel; print(*one_skel.One.OBJECTS)"
    done = subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": f"{LOADER}:{project.folder / 'build'}"},
                          capture_output=True, text=True)  # fmt: skip
    assert (done.stdout, done.stderr) == ("aarch64 x86_64\n", "")
    assert project.build(BOTH) == set()


def test_a_skeleton_is_made_anew_when_an_object_changes_and_no_other(declare):
    project = declare('for name in ("one", "three"):\n    env.BpfSkeleton(env.BpfObject(f"src/{name}.bpf.c"))\n')
    project.build(BOTH)
    project.edit("src/one.bpf.c", "int one(", "int one_more(")
    assert skeletons(project.build(BOTH)) == {"one_skel.py", "one_skel.pyi"}
    for path in ("src/one.bpf.c", "build/x86_64/one.bpf.o"):
        os.utime(project.folder / path)
    assert project.build(BOTH) == set()


def test_a_skeleton_is_made_anew_when_its_options_change(declare):
    body = 'env.BpfSkeleton(env.BpfObject("src/ring.bpf.c"), events={"ring": "struct first"})\n'
    project = declare(body, **{"ring.bpf.c": RING})
    project.build(BOTH)
    made = project.folder / "build" / "ring_skel.pyi"
    assert "ring: bpfloader.RingBuffer[First]" in made.read_text()
    project.edit("SConstruct", "struct first", "struct second")
    assert project.build(BOTH) == {"ring_skel.py", "ring_skel.pyi"}
    assert "ring: bpfloader.RingBuffer[Second]" in made.read_text()
    project.edit("SConstruct", "events=", 'name="a_ring", events=')
    assert project.build(BOTH) == {"ring_skel.py", "ring_skel.pyi"}
    assert "class ARing(bpfloader.Object):" in made.read_text()


@pytest.mark.parametrize("path", ["one_skel.py", "one_skel.pyi"])
def test_an_edited_or_deleted_skeleton_is_repaired(declare, path):
    project = declare('env.BpfSkeleton(env.BpfObject("src/one.bpf.c"))\n')
    project.build(BOTH)
    before, made = project.digests(), project.folder / "build" / path
    made.write_text(made.read_text() + "# edited\n")
    project.build(BOTH)
    made.unlink()
    project.build(BOTH)
    assert project.digests() == before


@pytest.mark.parametrize("body, said", [
    ('env.BpfSkeleton([env.BpfObject("src/one.bpf.c"), env.BpfObject("src/two.bpf.c")])\n',
     "BpfSkeleton: got one.bpf.o and two.bpf.o; hand it the objects of one program, those of all its arches together"),
    ("env.BpfSkeleton([])\n", "BpfSkeleton: got no object; "),
    ('env.BpfSkeleton(env.BpfObject("src/ring.bpf.c"), events={"rang": "struct first"})\n',
     "events names rang, which is no ring or perf buffer of this object; it has ring"),
    ('env.BpfSkeleton(env.BpfObject("src/ring.bpf.c"), events={"ring": "struct third"})\n',
     "the records of ring are to be struct third, which this object's BTF doesn't hold; write __type(value, struct "
     "third); into the map's definition, or add a global variable: const struct third *unused_ring"),
])  # fmt: skip
def test_what_is_declared_wrongly_is_said(declare, body, said):
    assert said in declare(body, **{"ring.bpf.c": RING}).fails("ARCH=x86_64")


C_SKELETON = 'env.BpfProgram("one", "src/one.bpf.c", c_skeleton=True)\n'


@pytest.fixture
def bpftool():
    """The machine's bpftool."""
    found = [path for path in ("/usr/sbin/bpftool", "/usr/bin/bpftool") if os.access(path, os.X_OK)]
    if not found or subprocess.run([found[0], "version"], capture_output=True).returncode:
        pytest.skip("this machine has no bpftool that runs")
    return found[0]


def test_a_c_skeleton_holds_the_object(declare, bpftool):
    project = declare(C_SKELETON)
    made = project.build(BOTH)
    headers = {path for path in made if path.endswith(".h") and "skel" in path}
    assert headers == {"x86_64/one.skel.h", "aarch64/one.skel.h"}
    text = (project.folder / "build/x86_64/one.skel.h").read_text()
    assert "struct one {" in text and "\\x7f\\x45\\x4c\\x46" in text.replace("\\\n", "")
    assert str(project.folder) not in text
    assert project.build(BOTH) == set()
    project.edit("src/one.bpf.c", "int one(", "int one_more(")
    assert headers < project.build(BOTH)


C_MAIN = """#include "one.skel.h"
int main(void)
{
	struct one *skel = one__open();
	if (!skel || !skel->progs.one || !skel->skeleton || skel->skeleton->prog_cnt != 1)
		return 1;
	one__destroy(skel);
	return 0;
}
"""


def test_a_c_skeleton_opens_the_object(declare, bpftool, cc):
    project = declare(C_SKELETON)
    project.build("ARCH=x86_64")
    if not os.path.exists("/usr/include/bpf/libbpf.h"):
        pytest.skip("the headers of libbpf are not installed (apt install libbpf-dev)")
    folder = project.folder / "build/x86_64"
    (folder / "main.c").write_text(C_MAIN)
    subprocess.run([*cc, "-Wall", "-Werror", "-o", "main", "main.c", "-lbpf"], cwd=folder, check=True)
    assert subprocess.run(["./main"], cwd=folder).returncode == 0


def test_another_bpftool_makes_it_anew(declare, bpftool):
    wrapper = f'#!/bin/sh\n# first\nexec {bpftool} "$@"\n'
    project = declare(C_SKELETON)
    tool = project.folder / "tool"
    tool.write_text(wrapper)
    tool.chmod(0o755)
    project.edit("SConstruct", "env.BpfProgram", f'env["EBPF_BPFTOOL"] = "{tool}"\nenv.BpfProgram')
    project.build("ARCH=x86_64")
    assert project.build("ARCH=x86_64") == set()
    tool.write_text(wrapper.replace("first", "second"))
    assert project.build("ARCH=x86_64") == {"x86_64/one.skel.h"}


def test_a_missing_bpftool_is_told_where_it_is_needed(declare):
    project = declare('env["EBPF_BPFTOOL"] = "/nowhere/bpftool"\n' + C_SKELETON)
    text = project.fails("ARCH=x86_64", "-k")
    assert "[build/x86_64/one.skel.h] BpfCSkeleton: no bpftool at /nowhere/bpftool; apt install bpftool" in text
    assert (project.folder / "build/x86_64/one_skel.py").exists(), "the rest is built"
    packed = [path.suffix for path in (project.folder / "build/dist").iterdir()]
    assert ".whl" in packed and ".tar" not in packed


def test_what_bpftool_refuses_is_told(declare, bpftool):
    project = declare(C_SKELETON)
    tool = project.folder / "tool"
    tool.write_text(f'#!/bin/sh\n[ "$1" = version ] && exec {bpftool} version\necho "Error: not today" >&2\nexit 1\n')
    tool.chmod(0o755)
    project.edit("SConstruct", "env.BpfProgram", f'env["EBPF_BPFTOOL"] = "{tool}"\nenv.BpfProgram')
    text = project.fails("ARCH=x86_64")
    assert "makes no skeleton of one.bpf.o; take one that is as new as the program's features" in text
    assert "Error: not today" in text
    assert not (project.folder / "build/x86_64/one.skel.h").exists()


def test_a_section_that_libbpf_does_not_know_is_told_when_the_skeleton_is_made(declare):
    text = '#include "vmlinux.h"\n__attribute__((section("tracepont/x"), used)) int f(void *ctx) { return 0; }\n'
    project = declare('env.BpfSkeleton(env.BpfObject("src/lost.bpf.c"))\n', **{"lost.bpf.c": text})
    done = project.scons(BOTH)
    assert done.returncode == 0
    assert done.stderr.count('did you mean SEC("tracepoint/x")?') == 1
    assert "tracepont" not in project.scons(BOTH).stderr
