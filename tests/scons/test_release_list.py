"""RELEASE=1 refuses all that it refuses in one list at the start, each line with its fix, before anything is built."""

import os
import subprocess

import pytest

COMMAND = 'env.Command("build/time.txt", "notes.txt", "echo $$SOURCE_DATE_EPOCH > $TARGET")\nDefault("build/time.txt")\n'
FOREIGN = """
import shutil
foreign = env.Command("x86_64/two.bpf.o", "src/two.bpf.c", Copy("$TARGET", "$SOURCE"))
mine = env.BpfObject("src/three.bpf.c", arch="s390x")
made = env.Command("both.txt", [], "echo x > $TARGET")
"""


def git(project, *words):
    """Runs git in the project, as somebody at a fixed time."""
    who = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    dates = {"GIT_COMMITTER_DATE": "@1700000000 +0000", "GIT_AUTHOR_DATE": "@1600000000 +0000"}
    subprocess.run(["git", "-C", str(project.folder), *who, *words], check=True, env={**os.environ, **dates}, capture_output=True)


@pytest.fixture
def committed(one_program, project):
    """The test project with one program, in a clean git tree."""
    (project.folder / "notes.txt").write_text("notes\n")
    with (project.folder / "SConstruct").open("a") as file:
        file.write(COMMAND)
    (project.folder / ".gitignore").write_text("build/\n.sconsign.dblite\ncompile_commands.json\n")
    git(project, "init", "-q")
    git(project, "add", "-A")
    git(project, "commit", "-q", "-m", "all")
    return project


def refused(project, *arguments, **environment):
    """The lines of the one list, and that nothing was made."""
    text = project.fails("ARCH=x86_64", "RELEASE=1", *arguments, **environment)
    assert not (project.folder / "build/x86_64").exists() and "CLANG" not in text
    head, *lines = text.partition("scons: *** ")[2].splitlines()
    count = "one thing" if len(lines) == 1 else f"{len(lines)} things"
    assert head == f"RELEASE=1: refuses {count}, and nothing was built"
    return lines


def test_a_clean_tree_is_built_with_the_time_of_its_last_commit(committed):
    made = committed.build("ARCH=x86_64", "RELEASE=1")
    assert {"x86_64/one.proof.json", "time.txt"} <= made
    assert (committed.folder / "build/time.txt").read_text() == "1700000000\n"
    assert committed.build("ARCH=x86_64", "RELEASE=1") == set(), "its own outputs are no inputs that nobody committed"
    (committed.folder / "build/time.txt").unlink()
    committed.build("ARCH=x86_64", "RELEASE=1", SOURCE_DATE_EPOCH="1234")
    assert (committed.folder / "build/time.txt").read_text() == "1234\n"


def test_all_is_refused_in_one_list(committed, tmp_path):
    (tmp_path / "far.h").write_text("#define FAR 1\n")
    (committed.folder / "include/far.h").symlink_to(tmp_path / "far.h")
    committed.edit("src/one.bpf.c", '#include "shared.h"', '#include "shared.h"\n#include <far.h>')
    pin = next(line for line in (committed.folder / "toolchain.toml").read_text().split("[vmlinux.x86_64]")[1].splitlines() if "sha256" in line)
    committed.edit("toolchain.toml", f"{pin}\n", "")
    (committed.folder / "src/new.bpf.c").write_text((committed.folder / "src/two.bpf.c").read_text())
    with (committed.folder / "SConstruct").open("a") as file:
        file.write('Default(env.BpfObject("src/new.bpf.c"))\nCacheDir("cache")\n')
        file.write('foreign = env.Command("x86_64/two.bpf.o", "src/two.bpf.c", Copy("$TARGET", "$SOURCE"))\n')
        file.write('env.BpfPackage("two", "1", foreign, env.BpfSkeleton(foreign))\n')
    lines = refused(committed, SOURCE_DATE_EPOCH="yesterday")
    told = "\n".join(lines)
    for part in (
        f"include/far.h leads out of the project, to {tmp_path}/far.h; a release is made of the project alone: copy",
        "BpfPackage: RELEASE=1 packs no object that isn't proven, and x86_64/two.bpf.o can't be; make it with BpfObject",
        "SConstruct, src/one.bpf.c, toolchain.toml differ from the last commit; commit them, or git stash",
        "include/far.h, src/new.bpf.c: the build reads what git doesn't track; git add and commit it",
        "vmlinux.h for x86_64 (Linux 6.19) has no sha256; build without RELEASE=1, which prints the line to paste",
        "CacheDir cache gives what nobody verified to the project's own builders; add --cache-disable",
        "SOURCE_DATE_EPOCH='yesterday' is no number of seconds; leave it out to have the last commit's",
    ):
        assert part in told, told
    assert len(lines) == 7, told


@pytest.mark.parametrize(
    "leak, said",
    [
        ("ignored", "include/shared.h: the build reads what git doesn't track; git add and commit it"),
        ("of a Command", "notes.txt: the build reads what git doesn't track; git add and commit it"),
        ("pin", "pins/x86_64.h is not there; put back the file that the pin names"),
    ],
)
def test_each_input_that_is_in_no_commit_is_refused(committed, leak, said):
    if leak == "ignored":
        with (committed.folder / ".gitignore").open("a") as file:
            file.write("include/\n")
        git(committed, "rm", "-rq", "--cached", "include")
        git(committed, "add", ".gitignore")
    elif leak == "of a Command":
        git(committed, "rm", "-q", "--cached", "notes.txt")
    else:
        git(committed, "rm", "-q", "pins/x86_64.h")
    git(committed, "commit", "-q", "-m", "less")
    assert [line.strip().partition(": vmlinux")[2].partition(": ")[2] or line.strip() for line in refused(committed)] == [said]


@pytest.mark.parametrize("flag", ["assume-unchanged", "skip-worktree"])
def test_a_change_that_git_was_told_to_overlook_is_refused(committed, flag):
    git(committed, "update-index", f"--{flag}", "include/shared.h")
    committed.edit("include/shared.h", "#", "\n#")
    (line,) = refused(committed)
    assert line.strip() == (
        "include/shared.h: git was told not to look whether it changed; "
        "git update-index --no-assume-unchanged or --no-skip-worktree has it look"
    )


def test_files_that_a_sparse_checkout_leaves_out_are_no_changes(committed):
    git(committed, "update-index", "--skip-worktree", "pins/s390x.h")
    (committed.folder / "pins/s390x.h").unlink()
    assert "x86_64/one.proof.json" in committed.build("ARCH=x86_64", "RELEASE=1")


@pytest.mark.parametrize("broken", ["head", "worktree", "objects"])
def test_a_tree_that_git_can_not_read_is_refused(committed, broken):
    folder = committed.folder / ".git"
    if broken == "head":
        (folder / "HEAD").write_text("nonsense\n")
    elif broken == "worktree":  # copied or mounted without the repository that it belongs to
        folder.rename(committed.folder.parent / "moved")
        folder.write_text("gitdir: /nonexistent/worktrees/project\n")
    else:
        name = subprocess.run(
            ["git", "-C", committed.folder, "rev-parse", "HEAD^{tree}"], check=True, capture_output=True, text=True
        ).stdout.strip()
        (folder / "objects" / name[:2] / name[2:]).unlink()
    (line,) = refused(committed)
    if broken == "objects":
        wanted = f"{committed.folder}: git can't compare it with the last commit; git diff HEAD says why"
    else:
        wanted = (
            f"{folder}: git can't read it, so nobody knows what is committed; "
            "install git, or run git status there, which says why; or build a copy without .git"
        )
    assert line.strip() == wanted


def test_a_project_without_git_is_built(one_program, project):
    assert "x86_64/one.proof.json" in project.build("ARCH=x86_64", "RELEASE=1")


def test_looking_refuses_nothing(committed):
    committed.edit("SConstruct", "Default(", "Default(  ")
    assert committed.scons("ARCH=x86_64", "RELEASE=1", "-n").returncode == 0
    assert committed.scons("ARCH=x86_64", "RELEASE=1", "-c").returncode == 0
