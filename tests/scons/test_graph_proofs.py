"""Proofs in the graph: when they are made, what they hold, and what a difference does."""

import json


def proof(project, name="one", arch="x86_64"):
    return json.loads((project.folder / f"build/{arch}/{name}.proof.json").read_text())


def test_a_release_proves_every_object_before_it_packs(project):
    made = project.build("ARCH=x86_64", "RELEASE=1")
    assert {f"x86_64/{name}.proof.json" for name in ("one", "two", "three")} <= made
    assert proof(project) == {"mode": "exact", "equal": True, "differences": [], "types": []}
    assert project.build("ARCH=x86_64", "RELEASE=1") == set()


def test_without_being_asked_for_nothing_is_proven(built):
    assert not list((built.folder / "build").rglob("*.proof.json"))


def test_the_proof_is_of_the_mode_that_made_the_header(project):
    project.build("ARCH=x86_64", "PROVE=1", "MINIMIZE=lean")
    assert proof(project)["mode"] == "lean"
    assert not [path for path in project.build("ARCH=x86_64", "PROVE=1", "MINIMIZE=off") if path.endswith("proof.json")]


def test_a_difference_stops_the_wheel_and_names_itself(make_project, tmp_path):
    """A minimizer with a planted bug: it drops a member."""
    import shutil
    from pathlib import Path

    root = Path(__file__).resolve().parents[2]
    for part in ("site_scons", "loader"):
        shutil.copytree(root / part, tmp_path / "tool" / part, ignore=shutil.ignore_patterns("__pycache__"))
    step = tmp_path / "tool" / "site_scons" / "ebpfbuild" / "minimized.py"
    text = step.read_text()
    assert text.count("return made.text\n") == 1
    step.write_text(text.replace("return made.text\n", 'return made.text.replace("\\tstruct pid_link;\\n", "")\n'))
    project = make_project(tool=tmp_path / "tool")
    text = project.fails("ARCH=x86_64", "PROVE=1")
    assert "build/x86_64/one.bpf.o: is not what the full vmlinux.h gives (mode exact): " in text
    assert "MINIMIZE=off" in text
    assert proof(project)["equal"] is False and "task_struct" in " ".join(proof(project)["differences"])
    assert not list((project.folder / "build").rglob("one-*.whl"))


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
