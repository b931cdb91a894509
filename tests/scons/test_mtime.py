"""No decision rests on an mtime: whatever a tool does to a file's times, its bytes decide, under every option of SCons's."""

import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from slow import slow_after

pytestmark = pytest.mark.usefixtures("one_program")
OLD = 10**18  # 2001, in ns: far beyond SCons's max_drift of two days
ROOT = Path(__file__).resolve().parents[2]
X86 = "ARCH=x86_64"
INPUTS = {
    "source": ("src/one.bpf.c", "int one(", "int eno("),
    "header": ("include/shared.h", "7", "8"),
}


def freeze(path):
    os.utime(path, ns=(OLD, OLD))


def by_touch(path, text):
    path.write_text(text)
    freeze(path)


def by_rename(path, text):
    other = path.with_name("other")
    other.write_text(text)
    freeze(other)
    os.replace(other, path)


def by_cp(path, text):
    other = path.parent / "other"
    by_touch(other, text)
    subprocess.run(["cp", "-p", other, path], check=True)
    other.unlink()


def by_tar(path, text):
    other = path.parent / "other"
    other.write_text(text)
    packed = path.parent / "packed.tar"
    with tarfile.open(packed, "w") as archive:
        entry = archive.gettarinfo(other, path.name)
        entry.mtime = OLD // 10**9
        with other.open("rb") as file:
            archive.addfile(entry, file)
    subprocess.run(["tar", "-xf", packed, "-C", path.parent], check=True)
    packed.unlink()
    other.unlink()


def by_rsync(path, text):
    if not shutil.which("rsync"):
        pytest.skip("rsync is not installed")
    other = path.parent / "other"
    by_touch(other, text)
    subprocess.run(["rsync", "-t", "--ignore-times", "--inplace", other, path], check=True)
    other.unlink()


@pytest.fixture
def frozen(project):
    """The test project with old mtimes, built."""
    for path in project.folder.rglob("*"):
        if path.is_file():
            freeze(path)
    project.build(X86)
    assert project.build(X86) == set()
    return project


@pytest.mark.parametrize("way", slow_after(3, [by_touch, by_rename, by_cp, by_tar, by_rsync]), ids=lambda way: way.__name__)
@pytest.mark.parametrize("path, old, new", slow_after(1, INPUTS.values()), ids=INPUTS)
def test_an_edit_that_leaves_size_and_mtime_counts(frozen, way, path, old, new):
    file = frozen.folder / path
    text = file.read_text().replace(old, new)
    assert len(text) == file.stat().st_size and text != file.read_text()
    way(file, text)
    assert file.stat().st_mtime_ns // 10**9 == OLD // 10**9
    assert "x86_64/one.bpf.o" in frozen.build(X86)
    assert frozen.build(X86) == set()


OPTIONS = [
    'SetOption("max_drift", 0)',
    'SetOption("max_drift", 1)',
    'SetOption("implicit_cache", 1)',
    'Decider("timestamp-newer")',
    'Decider("timestamp-match")',
    'Decider("content-timestamp")',
    'SetOption("hash_format", "md5")',
]


@pytest.mark.slow
@pytest.mark.parametrize("option", slow_after(2, OPTIONS))
def test_no_option_of_scons_s_believes_an_mtime(project, option):
    """The same under a Decider of the environment, which is asked for every target but this tool's."""
    lines = [option, f"env.{option}"] if option.startswith("Decider") else [option]
    project.edit("SConstruct", "env.Ebpf", "\n".join([*lines, "env.Ebpf"]))
    for path in ("src/one.bpf.c", "include/shared.h"):
        freeze(project.folder / path)
    project.build(X86)
    for path, old, new in INPUTS.values():
        by_touch(project.folder / path, (project.folder / path).read_text().replace(old, new))
        assert "x86_64/one.bpf.o" in project.build(X86), path
    by_touch(project.folder / "src/shared.h", "#define LIMIT 9\n")  # found before the other one
    assert "x86_64/one.bpf.o" in project.build(X86)
    assert project.build(X86) == set()


@pytest.mark.slow
@pytest.mark.parametrize("argument", ["--max-drift=0", "--implicit-cache", "--implicit-deps-unchanged"])
def test_no_option_on_the_command_line_does(frozen, argument):
    by_touch(frozen.folder / "include/shared.h", (frozen.folder / "include/shared.h").read_text().replace("7", "8"))
    assert "x86_64/one.bpf.o" in frozen.build(X86, argument)
    by_touch(frozen.folder / "src/shared.h", "#define LIMIT 9\n")
    assert "x86_64/one.bpf.o" in frozen.build(X86, argument)


GENERATED = """
env["ENV"] = {"PATH": os.environ["PATH"]}
env.Command("include/made.h", "made.in", "cp -p $SOURCE $TARGET")
env.Command("src/four.bpf.c", "four.in", "cp -p $SOURCE $TARGET")
four = env.BpfObject("src/four.bpf.c")
env.Install("installed", four)
env.Command("seen", "include/shared.h", Copy("$TARGET", "$SOURCE"))
Default("installed", "seen")
"""


def with_generated(project):
    (project.folder / "made.in").write_text("#define MADE 1\n")
    source = (project.folder / "src/one.bpf.c").read_text().replace("shared.h", "made.h").replace("LIMIT", "MADE")
    (project.folder / "four.in").write_text(source)
    with open(project.folder / "SConstruct", "a") as script:
        script.write(GENERATED)
    for path in project.folder.rglob("*"):
        if path.is_file():
            freeze(path)
    project.build(X86)
    assert project.build(X86) == set()


def test_generated_inputs_with_frozen_times_count_and_what_is_installed_follows(project):
    with_generated(project)
    installed = project.folder / "installed/four.bpf.o"
    for path, old, new in (("made.in", "1", "2"), ("four.in", "int one(", "int eno(")):
        before = installed.read_bytes()
        file = project.folder / path
        by_touch(file, file.read_text().replace(old, new))  # what the user's own builder reads, and what it makes, are old
        assert "x86_64/four.bpf.o" in project.build(X86), path
        assert installed.read_bytes() == (project.folder / "build/x86_64/four.bpf.o").read_bytes() != before
        assert project.build(X86) == set()


def test_a_user_s_own_target_is_recorded_with_what_it_was_decided_by(project):
    """A header that a user's own target reads too: what is true for this tool's target is never noted as seen by the other."""
    with_generated(project)
    header = project.folder / "include/shared.h"
    by_touch(header, header.read_text().replace("7", "8"))
    project.build(X86)
    header.touch()  # SCons looks again
    project.build(X86)
    assert (project.folder / "seen").read_text() == header.read_text()


@pytest.mark.slow
def test_an_edit_of_the_tool_that_leaves_size_and_mtime_counts(make_project, tmp_path):
    """Python believes bytecode by these two: the step would be made anew, by the code of before."""
    tool = tmp_path / "tool"
    for part in ("site_scons", "loader"):
        shutil.copytree(ROOT / part, tool / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "toolchain.toml", tool)
    core = tool / "site_scons/ebpfbuild"
    for path in core.rglob("*.py"):
        freeze(path)
    # As a tool leaves it that imports the core without further ado, such as pytest.
    subprocess.run([sys.executable, "-m", "compileall", "-q", core], check=True)
    project = make_project("of-the-tool", tool=tool, fresh=True)
    project.build(X86)
    for name, old, new in (("package/tar.py", "MTIME = 315532800", "MTIME = 315532802"), ("compile/args.py", '"-Wall"', '"-DZ=1"')):
        text = (core / name).read_text()
        assert old in text and len(old) == len(new)
        by_touch(core / name, text.replace(old, new))
        project.build(X86)
    with tarfile.open(next((project.folder / "build/dist").glob("*.tar"))) as made:
        assert {member.mtime for member in made} == {315532802}
    assert all("-DZ=1" in entry["arguments"] for entry in project.commands())
    assert project.build(X86) == set()


def test_a_checkout_within_the_second_counts(frozen):
    git = ["git", "-C", str(frozen.folder), "-c", "user.name=a", "-c", "user.email=a@b.invalid"]
    for command in (["init", "-q"], ["add", "src", "include"], ["commit", "-qm", "one"]):
        subprocess.run([*git, *command], check=True)
    frozen.edit("src/one.bpf.c", "int one(", "int eno(")
    frozen.build(X86)
    subprocess.run([*git, "checkout", "-q", "."], check=True)
    assert "x86_64/one.bpf.o" in frozen.build(X86)


def test_python_and_readme_of_a_package_count(project):
    app = project.folder / "app"
    app.mkdir()
    files = app / "__init__.py", app / "__main__.py", project.folder / "README.md"
    for file in files:
        by_touch(file, "# 1\n")
    project.edit("SConstruct", 'version="1.0"', 'version="1.0", app="app", readme="README.md"')
    project.build(X86)
    assert project.build(X86) == set()
    for file in files:
        by_touch(file, "# 2\n")
        assert any(path.endswith(".whl") for path in project.build(X86)), file
        assert project.build(X86) == set()
