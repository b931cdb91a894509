"""Proofs in the graph: when they are made, what they hold, and what a difference does."""

import importlib.util
import json
import re
import shutil
from pathlib import Path

import pytest
from scripts import python_script
from slow import slow_after

ROOT = Path(__file__).resolve().parents[2]


def proof(project, name="one", arch="x86_64"):
    return json.loads((project.folder / f"build/{arch}/{name}.proof.json").read_text())


def test_a_release_proves_every_object_before_it_packs(project):
    made = project.build("ARCH=x86_64", "RELEASE=1")
    assert {f"x86_64/{name}.proof.json" for name in ("one", "two", "three")} <= made
    found = proof(project)
    assert (found["mode"], found["equal"], found["differences"], found["types"], found["fallback"]) == ("exact", True, [], [], "")
    assert found["object"] == project.digests("one.bpf.o")["x86_64/one.bpf.o"] and found["compared"] > 10
    assert project.build("ARCH=x86_64", "RELEASE=1") == set()


def test_without_being_asked_for_nothing_is_proven(built):
    assert not list((built.folder / "build").rglob("*.proof.json"))


def test_the_proof_is_of_the_mode_that_made_the_header(project):
    project.build("ARCH=x86_64", "PROVE=1", "MINIMIZE=lean")
    assert proof(project)["mode"] == "lean"
    assert not [path for path in project.build("ARCH=x86_64", "PROVE=1", "MINIMIZE=off") if path.endswith("proof.json")]


def broken_tool(tmp_path):
    """The tool with a planted bug: its minimizer drops a member."""
    for part in ("site_scons", "loader"):
        shutil.copytree(ROOT / part, tmp_path / "tool" / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "toolchain.toml", tmp_path / "tool")
    shutil.copy(ROOT / "requirements.lock", tmp_path / "tool")
    step = tmp_path / "tool" / "site_scons" / "ebpfbuild" / "minimize" / "program.py"
    text, found = step.read_text(), "return made_in(args.mode).text\n"
    assert text.count(found) == 1
    step.write_text(text.replace(found, found[:-1] + '.replace("\\tstruct pid_link;\\n", "")\n'))
    return tmp_path / "tool"


@pytest.fixture(scope="module")
def broken(tmp_path_factory):
    """One broken tool for the tests that only run it."""
    return broken_tool(tmp_path_factory.mktemp("broken"))


DEPENDENTS = {
    "Install": "env.Install('out', objects)",
    "InstallAs": "env.InstallAs('out/a.o', objects[0])",
    "Command": "env.Command('out/copy', objects, 'cp $SOURCE $TARGET')",
    "tar": "env.Command('out/root.tar', objects, 'tar -cf $TARGET $SOURCES')",
    "skeleton": "env.BpfSkeleton(objects)",
    "wheel": "env.BpfPackage('one', '1', objects, env.BpfSkeleton(objects))",
}


@pytest.mark.parametrize("way", slow_after(1, DEPENDENTS))
@pytest.mark.parametrize("release, before", [("RELEASE=1", False), ("PROVE=1", True)])
def test_nothing_that_depends_on_a_wrong_object_runs(make_project, broken, way, release, before):
    """Whoever declared it, and also where an earlier build without proofs left the object."""
    project = make_project(tool=broken)
    project.declare(f"objects = env.BpfObject('src/one.bpf.c')\nDefault({DEPENDENTS[way]})")
    if before:
        project.build("ARCH=x86_64")
        shutil.rmtree(project.folder / "out", ignore_errors=True)
        for path in project.folder.rglob("build/**/*one*"):
            if path.is_file() and not path.name.endswith(".o"):
                path.unlink()
    done = project.scons("ARCH=x86_64", release)
    assert done.returncode == 2, done.stderr
    assert "build/x86_64/one.bpf.o: is not what the full vmlinux.h gives (mode exact): " in done.stderr
    assert "MINIMIZE=off" in done.stderr and "report build/x86_64/one.proof.json" in done.stderr
    assert proof(project)["equal"] is False and "task_struct" in " ".join(proof(project)["differences"])
    left = {path.name for path in (*project.folder.rglob("out/*"), *project.folder.rglob("build/x86_64/one*"), *project.folder.rglob("*.whl"))}
    assert left == {"one.proof.json"}
    project.build("ARCH=x86_64")
    assert not (project.folder / "build/x86_64/one.proof.json").exists(), "the proof of another object"


@pytest.mark.slow
def test_what_was_made_before_is_proven_and_keeps_its_bytes(built):
    """A switch to a release and back makes nothing anew that depends on an object but what holds the proof."""
    arches, objects = "ARCH=x86_64,aarch64", built.digests(".bpf.o", "vmlinux.h")
    made = built.build(arches, "RELEASE=1")
    assert {path for path in made if path.startswith("x86_64") and path.endswith(("bpf.o", "proof.json"))} == {
        f"x86_64/{name}.{ending}" for name in ("one", "two", "three") for ending in ("bpf.o", "proof.json")
    }
    assert not [path for path in made if path.endswith((".py", ".pyi"))]
    assert built.digests(".bpf.o", "vmlinux.h") == objects
    assert built.build(arches, "RELEASE=1") == built.build(arches, "PROVE=1") == set()
    assert not [path for path in built.build(arches) if not path.startswith("dist/")]
    assert not [path for path in built.build(arches, "RELEASE=1") if not path.startswith("dist/")]
    built.edit("src/one.bpf.c", "task->pid % LIMIT", "(task->pid + 1) % LIMIT")
    built.build(arches)
    assert not (built.folder / "build/x86_64/one.proof.json").exists()
    assert {path for path in built.build(arches, "RELEASE=1") if path.endswith("json")} >= {"x86_64/one.proof.json"}


@pytest.mark.parametrize("damage", slow_after(2, ["edited", "object", "gone", "another's", "of another prover"]))
def test_a_proof_that_isn_t_of_this_object_is_made_anew(project, damage):
    project.declare("Default(env.BpfObject('src/one.bpf.c'))")
    run = ("ARCH=x86_64", "RELEASE=1")
    project.build(*run)
    path = project.folder / "build/x86_64/one.proof.json"
    good = path.read_bytes()
    if damage == "gone":
        path.unlink()
    elif damage == "object":
        with open(path.with_name("one.bpf.o"), "ab") as file:
            file.write(b"planted")
    else:
        path.write_bytes({"edited": b"[" * 9000, "another's": good.replace(b'"object": "', b'"object": "0'), "of another prover": good.replace(b'"prover": "', b'"prover": "0')}[damage])
    assert project.scons(*run, "-q").returncode == 1
    assert "CLANG    build/x86_64/one.bpf.o" in project.scons(*run, "-n").stdout
    assert project.build(*run) == {"x86_64/one.bpf.o", "x86_64/one.proof.json", "x86_64/minimized/one/vmlinux.h"}
    assert path.read_bytes() == good
    assert project.build(*run) == set()
    assert project.scons(*run, "-q").returncode == project.scons(*run, "prove", "-q").returncode == 0
    assert project.scons("-c", "ARCH=x86_64").returncode == 0
    assert not [each for each in (project.folder / "build/x86_64").iterdir() if "one" in each.name]


def test_a_proof_may_be_asked_for_by_the_project(project):
    project.declare("objects = env.BpfObject('src/one.bpf.c')\nenv.AddPostAction(objects, lambda target, source, env: print('posted'))\n"
                    "Default(env.Install('out', env.BpfProof(objects)))")  # fmt: skip
    done = project.scons("ARCH=x86_64")
    assert done.returncode == 0 and "posted" in done.stdout, done.stderr
    assert json.loads((project.folder / "out/one.proof.json").read_text())["equal"] is True
    assert project.build("ARCH=x86_64") == project.build("ARCH=x86_64", "RELEASE=1") == set()


def test_what_bpf_object_didn_t_make_can_t_be_proven(project):
    project.declare("env.BpfProof('lib/one.bpf.o')")
    assert "BpfProof: lib/one.bpf.o can't be proven; make it with BpfObject" in project.fails("ARCH=x86_64")


SHARED = "shared = env.MinimizedVmlinux('shared', ['src/one.bpf.c', 'src/three.bpf.c'])\n"
FALLBACKS = {
    "own": "Default(env.BpfObject('src/one.bpf.c'))",
    "set": SHARED + "Default([env.BpfObject(f'src/{name}.bpf.c', header=shared) for name in ('one', 'three')])",
    "fields": "Default(env.BpfObject('src/one.bpf.c', minimize='fields'))",
}


@pytest.mark.parametrize("way", slow_after(2, FALLBACKS))
def test_a_fallback_is_on_record_and_no_release_takes_it_unasked(project, way):
    project.declare(FALLBACKS[way])
    project.edit("src/one.bpf.c", '#include "vmlinux.h"', '#define tgid tgid_renamed\n#include "vmlinux.h"')
    why = "the program defines tgid before it and vmlinux.h has that name"
    refused = f"src/one.bpf.c: gets the full vmlinux.h for x86_64, since {why}; a release takes it only where it is asked"
    assert refused in project.fails("ARCH=x86_64", "RELEASE=1")
    project.build("ARCH=x86_64", "PROVE=1")
    assert (proof(project)["fallback"], proof(project)["equal"]) == (why, True)
    assert f"build/x86_64/one.bpf.o: full header, since {why}" in project.scons("ARCH=x86_64", "prove").stdout
    assert project.build("ARCH=x86_64", "PROVE=1") == set()
    assert "MINIMIZE=off" in project.fails("ARCH=x86_64", "RELEASE=1"), "though its proof is there"
    project.build("ARCH=x86_64", "RELEASE=1", "MINIMIZE=off")
    assert "asked" not in project.scons("ARCH=x86_64", "RELEASE=1", "MINIMIZE=off").stderr


def test_a_minimized_header_that_doesn_t_compile_is_a_fallback(make_project, tmp_path):
    tool = broken_tool(tmp_path)
    step = tool / "site_scons/ebpfbuild/minimize/program.py"
    step.write_text(step.read_text().replace('"\\tstruct pid_link;\\n"', '"struct task_struct {"'))
    project = make_project(tool=tool, fresh=True)
    done = project.scons("ARCH=x86_64", "PROVE=1", "build/x86_64/one.bpf.o")
    assert done.returncode == 0, done.stderr
    assert "src/one.bpf.c (x86_64): using the full header, since the minimized one doesn't compile (" in done.stderr
    assert "a bug of the minimizer, please report it" in proof(project)["fallback"]
    assert "a release takes it only where it is asked for" in project.fails("ARCH=x86_64", "RELEASE=1", "build/x86_64/one.bpf.o")


def test_prove_prints_a_verdict_a_line_and_a_count(project):
    project.declare("for name, mode in (('one', 'lean'), ('two', 'off'), ('three', None)):\n    env.BpfObject(f'src/{name}.bpf.c', minimize=mode)")
    for _ in range(2):
        lines = project.scons("ARCH=x86_64", "prove").stdout.splitlines()[-4:]
        one, three, two, count = lines
        assert re.fullmatch(r"build/x86_64/one.bpf.o: equal, lean, \d+ types", one)
        assert re.fullmatch(r"build/x86_64/three.bpf.o: equal, exact, \d+ types", three)
        assert two == "build/x86_64/two.bpf.o: full header, nothing to prove"
        assert count == "3 objects: 2 proven, 1 with the full header"


def test_prove_says_where_an_object_without_btf_was_compared(project):
    (project.folder / "src/empty.bpf.c").write_text('#include "vmlinux.h"\nstatic inline int unused(int a) { return a; }\n')
    project.declare("env.BpfObject('src/empty.bpf.c')\nenv.BpfObject('src/one.bpf.c', cflags=['-g0'])")
    lines = project.scons("ARCH=x86_64", "prove").stdout.splitlines()[-3:]
    each = [f"build/x86_64/{name}.bpf.o: equal, exact, without BTF" for name in ("empty", "one")]
    assert lines == [*each, "2 objects: 2 proven"]


def test_prove_counts_what_it_proved_where_another_one_fails(make_project, broken):
    project = make_project(tool=broken)
    done = project.scons("ARCH=x86_64", "-k", "prove")
    assert done.returncode == 2 and "build/x86_64/one.bpf.o: is not what the full" in done.stderr
    assert done.stdout.splitlines()[-1] == "3 objects: 2 proven, 1 not proven"


@pytest.mark.parametrize("mode", ["exact", "fields"])
def test_a_program_that_changes_by_itself_is_not_the_minimizer_s_fault(project, mode):
    """__COUNTER__ can't tell, __TIME__ may be refused; a compiler that isn't deterministic gives other bytes each time."""
    compiler = project.folder / "clang"
    real = find_clang()
    compiler.write_text(
        python_script(
            "import os, sys\n"
            "more = [f'-DNOW={os.getpid()}'] if '-c' in sys.argv else []\n"
            f"os.execv({real!r}, [{real!r}, 'clang', *more, *sys.argv[1:]])\n"
        )
    )
    compiler.chmod(0o755)
    project.edit("toolchain.toml", 'package = "ziglang"', 'path = "clang"')
    project.edit("src/one.bpf.c", "% LIMIT", "% LIMIT + NOW")
    project.edit("src/one.bpf.c", '#include "shared.h"', '#include "shared.h"\n#ifndef NOW\n#define NOW 0\n#endif')
    text = project.fails("ARCH=x86_64", "PROVE=1", f"MINIMIZE={mode}", "build/x86_64/one.bpf.o")
    assert "src/one.bpf.c: gives another object each time, with the same build/x86_64/include/vmlinux.h: " in text
    assert "the minimizer isn't at fault" in text and "bug" not in text


def find_clang():
    return str(Path(importlib.util.find_spec("ziglang").submodule_search_locations[0], "zig"))


def test_prove_and_sizes_in_a_project_that_packs_nothing(project):
    text = (project.folder / "SConstruct").read_text()
    head = text[: text.index("for name")]
    (project.folder / "SConstruct").write_text(head + 'env.Clone(EBPF_BUILD="other").BpfObject("src/one.bpf.c")\nenv.BpfObject("src/two.bpf.c")\n')
    assert project.build("ARCH=x86_64", "prove") >= {"x86_64/two.proof.json"}
    assert (project.folder / "other/x86_64/one.proof.json").exists()
    rows = [line.split()[0] for line in project.scons("ARCH=x86_64", "sizes").stdout.splitlines() if line.startswith("src/")]
    assert rows == ["src/one.bpf.c", "src/two.bpf.c"]


def test_sizes_are_printed_by_program_and_arch(project):
    done = project.scons("ARCH=x86_64,s390x", "sizes")
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines() if line.startswith("src/")]
    assert [(row[0], row[1], row[2]) for row in rows] == [
        (f"src/{name}.bpf.c", arch, "exact") for name in ("one", "three", "two") for arch in ("s390x", "x86_64")
    ]
