"""A release's papers by real scons: inside each wheel and beside it, the same everywhere, made anew when they must be."""

import hashlib
import json
import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from scons_project import ROOT, is_paper

BOTH = "ARCH=x86_64,aarch64"
WHEEL, TAR = "dist/one-1.2-py3-none-any.whl", "dist/one-1.2-any.tar"
PROGRAM = 'Default(env.BpfProgram("one", "src/one.bpf.c", version="1.2", license="GPL-2.0-only"))\n'
SIGNER = """import pathlib, sys
*options, path = sys.argv[1:]
pathlib.Path(path + ".sig").write_text("signed " + " ".join(options) + pathlib.Path(path).read_text())
"""


@pytest.fixture
def packed(declare):
    """The test project with the package of `one` for two arches."""
    project = declare(PROGRAM)
    project.build(BOTH)
    return project


def papers(project):
    """The papers beside wheel and tar, by name."""
    return {path.name: path.read_bytes() for path in (project.folder / "build/dist").iterdir() if is_paper(path)}


def dependencies(statement):
    """The inputs of a statement by their names."""
    definition = json.loads(statement)["predicate"]["buildDefinition"]
    return {each["name"]: each for each in definition["resolvedDependencies"]}


def test_wheel_and_tar_have_their_papers_and_sha256sum_takes_them(packed, tmp_path):
    beside = papers(packed)
    assert sorted(beside) == sorted(
        f"{file.removeprefix('dist/')}{ending}" for file in (WHEEL, TAR) for ending in (".SHA256SUMS", ".cdx.json", ".intoto.json")
    )
    for name in beside:
        if name.endswith(".SHA256SUMS"):
            subprocess.run(["sha256sum", "--check", "--strict", "--quiet", name], cwd=packed.folder / "build/dist", check=True)
    told = dependencies(beside["one-1.2-py3-none-any.whl.intoto.json"])
    record = json.loads((packed.folder / "build/aarch64/include/vmlinux.h.json").read_text())
    assert told["vmlinux.h of aarch64"]["digest"] == {"sha256": record["sha256"]}
    assert told["vmlinux.h of aarch64"]["annotations"]["source"] == record["source"] == "pins/aarch64.h"
    assert told["clang"]["annotations"]["version"] == packed.version


def test_pip_installs_the_wheel_with_its_papers_and_the_loader_inspects_it(packed, tmp_path):
    wheel = packed.folder / "build" / WHEEL
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-index", "--no-deps", "--target", str(tmp_path), str(wheel)]
    subprocess.run(command, check=True)
    subprocess.run(["sha256sum", "--check", "--strict", "--quiet", "one-1.2.dist-info/sboms/SHA256SUMS"], cwd=tmp_path, check=True)
    command = [sys.executable, "-m", "bpfloader", "inspect", "--no-kernel", str(wheel)]
    done = subprocess.run(command, cwd=tmp_path / "one", capture_output=True, text=True)
    assert done.returncode == 0 and "files are as RECORD says" in done.stdout


def test_the_wheel_and_its_papers_are_the_same_in_another_place(packed, make_project):
    other = make_project("another/longer/place", fresh=True).declare(PROGRAM)
    other.build(BOTH, HOME="/nowhere", LC_ALL="C", TZ="Asia/Tokyo")
    assert (other.folder / "build" / WHEEL).read_bytes() == (packed.folder / "build" / WHEEL).read_bytes()
    assert papers(other) == papers(packed)


def test_a_null_build_makes_none_anew_and_an_edited_or_lost_paper_is_made_anew(packed):
    before = papers(packed)
    assert packed.build(BOTH) == set()
    (packed.folder / "build" / f"{WHEEL}.cdx.json").write_text("{}")
    (packed.folder / "build" / f"{TAR}.SHA256SUMS").unlink()
    assert packed.build(BOTH) == {WHEEL, TAR}
    assert papers(packed) == before


def test_a_url_in_the_pins_makes_the_papers_anew_and_no_object(packed):
    """They name it. A comment changes nothing."""
    wheel = (packed.folder / "build" / WHEEL).read_bytes()
    packed.edit("toolchain.toml", "[libbpf]", "# a comment\n[libbpf]")
    assert packed.build(BOTH) == set()
    packed.edit("toolchain.toml", '[[libbpf.source]]\npath', '[[libbpf.source]]\nurl = "https://host.invalid/libbpf.tar.gz"\nfolder = "bpf"\n[[libbpf.source]]\npath')
    assert packed.build(BOTH, "--offline") == {WHEEL, TAR}
    told = dependencies(zipfile.ZipFile(packed.folder / "build" / WHEEL).read("one-1.2.dist-info/sboms/one.intoto.json"))
    assert told["libbpf"]["uri"] == "https://host.invalid/libbpf.tar.gz"
    assert (packed.folder / "build" / WHEEL).read_bytes() != wheel


def clean_papers(project, make_project):
    """The papers of a clean build of the same files."""
    clean = make_project("clean", tool=project.tool, fresh=project.tool != ROOT).declare(PROGRAM)
    shutil.rmtree(clean.folder)
    shutil.copytree(project.folder, clean.folder, ignore=shutil.ignore_patterns("build", ".scons*"))
    clean.build(BOTH, "--offline")
    return papers(clean)


@pytest.mark.slow
def test_a_header_s_place_that_moves_is_told_as_in_a_clean_build(packed, make_project):
    """The same bytes from another URL: the header isn't fetched again, and the papers name the URL that is declared."""
    packed.edit("toolchain.toml", 'path = "pins/x86_64.h"', 'url = "https://one.invalid/x86_64.h"')
    packed.build(BOTH, "--offline")
    packed.edit("toolchain.toml", "https://one.invalid/", "https://two.invalid/")
    packed.build(BOTH, "--offline")
    told = papers(packed)
    assert dependencies(told["one-1.2-any.tar.intoto.json"])["vmlinux.h of x86_64"]["annotations"]["source"] == "https://two.invalid/x86_64.h"
    assert told == clean_papers(packed, make_project)


@pytest.mark.slow
def test_an_edit_of_the_build_s_code_is_told_as_in_a_clean_build(make_project, tmp_path):
    """Also where it changes no object."""
    tool = tmp_path / "tool"
    for part in ("site_scons", "loader"):
        shutil.copytree(ROOT / part, tool / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "toolchain.toml", tool)
    project = make_project(tool=tool, fresh=True).declare(PROGRAM)
    project.build(BOTH)
    before = papers(project)
    with open(tool / "site_scons/ebpfbuild/compile/object.py", "a") as code:
        code.write("# a comment\n")
    project.build(BOTH)
    assert papers(project) != before
    assert papers(project) == clean_papers(project, make_project)


def test_clean_removes_the_papers(packed):
    packed.build(BOTH, "-c")
    assert papers(packed) == {}


def test_sign_gets_each_statement_s_path_whatever_is_up_to_date(packed):
    (packed.folder / "signer.py").write_text(SIGNER)
    packed.build(BOTH, f"SIGN={shlex.join([sys.executable, 'signer.py', '--key', 'my key'])}")
    for file in (WHEEL, TAR):
        statement = packed.folder / "build" / f"{file}.intoto.json"
        assert Path(f"{statement}.sig").read_text() == f"signed --key my key{statement.read_text()}"
    assert "SIGN" not in (packed.folder / "build" / f"{WHEEL}.intoto.json").read_text()


def test_a_signature_goes_with_the_papers_that_it_signs(packed):
    """One that a later build leaves would stand beside papers that it doesn't sign; what isn't SIGN='s stays."""
    (packed.folder / "signer.py").write_text(SIGNER)
    sign = f"SIGN={shlex.join([sys.executable, 'signer.py'])}"
    statements = [packed.folder / "build" / f"{file}.intoto.json" for file in (WHEEL, TAR)]
    signatures = [Path(f"{statement}.sig") for statement in statements]
    notes = Path(f"{statements[0]}.notes")
    notes.write_text("a person's")
    removed = "is removed: it signed the papers of an earlier build, and these are others; SIGN= signs them"

    def build(*more):
        done = packed.scons(BOTH, *more)
        assert done.returncode == 0, done.stderr
        return done.stderr

    build(sign)
    statements[0].write_text("edited")  # so it is made again, with the very same bytes
    text = build()
    assert removed not in text and all(signature.exists() for signature in signatures)
    signatures[1].write_text("a person's own")
    packed.edit("src/one.bpf.c", "char LICENSE", "int unused_by_all = 7;\nchar LICENSE")
    text = build()
    assert text.count(removed) == 1 and f"{WHEEL}.intoto.json.sig {removed}" in text
    assert not signatures[0].exists() and signatures[1].read_text() == "a person's own"
    assert removed not in build(sign)
    build("-c")
    assert not any(signature.exists() for signature in signatures) and notes.exists()


def test_another_key_signs_anew_though_its_signer_overwrites_nothing(packed):
    """As ssh-keygen, which asks before it does, and ends with 0 where nobody answers."""
    (packed.folder / "signer.py").write_text(SIGNER.replace("\npathlib", "\nif not pathlib.Path(path + '.sig').exists(): pathlib"))
    signature = packed.folder / "build" / f"{WHEEL}.intoto.json.sig"
    nothing = f"ebpf: SIGN: {sys.executable} wrote nothing beside build/{WHEEL}.intoto.json; if its signature was to lie there, nothing is signed"
    for key in ("first", "second"):
        done = packed.scons(BOTH, f"SIGN={shlex.join([sys.executable, 'signer.py', key])}")
        assert done.returncode == 0 and "SIGN" not in done.stderr, done.stderr
        assert signature.read_text().startswith(f"signed {key}")
    (packed.folder / "other.py").write_text(SIGNER.replace(".sig", ".bundle"))
    for arguments, status in (["other.py"], 0), (["none.py"], 2):
        assert packed.scons(BOTH, f"SIGN={shlex.join([sys.executable, *arguments])}").returncode == status
        assert signature.read_text().startswith("signed second") and signature.with_suffix(".bundle").exists()
    signature.write_text("a person's own")
    done = packed.scons(BOTH, f"SIGN={shlex.join([sys.executable, 'signer.py', 'third'])}")
    assert done.returncode == 0 and nothing in done.stderr and signature.read_text() == "a person's own"


def test_a_signer_that_fails_fails_the_build_in_one_line(one_program, project):
    text = project.fails("ARCH=x86_64", "SIGN=false", "build/dist/one-1.0-py3-none-linux_x86_64.whl")
    assert "SIGN: false ended with 1; the release is unsigned; correct SIGN= and build again" in text


@pytest.mark.parametrize("command, said", [
    ("./none --key", "SIGN: ./none can't be run: No such file or directory; install it, or name its path"),
    ("no-such-signer", "SIGN: no-such-signer can't be run: No such file or directory; install it, or name its path"),
    ("./SConstruct", "SIGN: ./SConstruct can't be run: Permission denied; install it, or name its path"),
    ("sign 'it", "SIGN: \"sign 'it\" is no command (No closing quotation); close the quotation"),
    (" ", "SIGN: is empty; name the command and its options: cosign sign-blob --yes"),
])  # fmt: skip
def test_a_signer_that_can_t_be_run_is_refused_before_anything_is_built(one_program, project, command, said):
    assert said in project.fails("ARCH=x86_64", f"SIGN={command}")
    assert not list((project.folder / "build").rglob("*.o"))


def test_parameters_are_told_and_the_project_s_own_arguments_are_not(one_program, project):
    project.build("ARCH=x86_64", "CFLAGS=-DX=1", f"MIRROR={project.folder}", "PROVE=1", "MINIMIZE=lean")
    (beside,) = (project.folder / "build/dist").glob("*.whl.intoto.json")
    told = json.loads(beside.read_text())["predicate"]["buildDefinition"]["externalParameters"]
    assert told == {
        "name": "one", "version": "1.0", "ARCH": ["x86_64"], "MINIMIZE": "lean", "PROVE": True,
    }  # fmt: skip


def test_objects_of_somebody_else_s_have_papers_without_inputs(declare, packed):
    foreign = """
objects = [env.Command(f"elsewhere/{arch}/two.bpf.o", f"build/{arch}/one.bpf.o", Copy("$TARGET", "$SOURCE")) for arch in ("x86_64", "aarch64")]
Default(env.BpfPackage("two", "1", objects, env.BpfSkeleton(objects, "two")))
"""
    packed.declare(foreign)
    packed.build(BOTH)
    wheel = zipfile.ZipFile(packed.folder / "build/dist/two-1-py3-none-any.whl")
    told = dependencies(wheel.read("two-1.dist-info/sboms/two.intoto.json"))
    assert "clang" not in told and "requirements.lock" in told
    subjects = json.loads(wheel.read("two-1.dist-info/sboms/two.intoto.json"))["subject"]
    digest = hashlib.sha256(wheel.read("two/aarch64/two.bpf.o")).hexdigest()
    assert {"name": "two/aarch64/two.bpf.o", "digest": {"sha256": digest}} in subjects


def test_the_builder_s_code_is_that_of_all_steps_that_make_something():
    """Each module in which a step begins, as the adapters name it, is part of it: but for those of what isn't packed."""
    texts = {file.name: file.read_text() for file in (ROOT / "site_scons/site_tools/ebpf").glob("*.py")}
    told = texts["step_inputs.py"].partition("MAKING = (")[2].partition("\n)")[0]
    named, making = (set(re.findall(r'"(\w+/\w+\.py)"', text)) for text in ("".join(texts.values()).replace(told, ""), told))
    assert named - making == {"boot/guests.py", "bpfloader/__init__.py"} and making <= named
