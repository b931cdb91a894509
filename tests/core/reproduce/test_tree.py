"""What is copied for a build elsewhere: what git tracks, as it lies there, and inputs that it doesn't track."""

import os
import subprocess

import pytest
from ebpfbuild.release_check import tree_refusals
from ebpfbuild.reproduce.tree import YEAR_2001, copy_tree, tree_of

IDENTITY = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "protocol.file.allow=always")


def git(folder, *words):
    """What git prints in a folder."""
    return subprocess.run(["git", "-C", str(folder), *IDENTITY, *words], check=True, capture_output=True, text=True).stdout


@pytest.fixture
def project(tmp_path):
    """A git tree with a project in a folder of it."""
    top = tmp_path / "top"
    root = top / "firmware"
    (root / "vendor").mkdir(parents=True)
    (root / "build").mkdir()
    (root / ".gitignore").write_text("vendor/\nbuild/\nsecret\n")
    for name in ("SConstruct", "gone.c", "secret", "vendor/vmlinux.h", "build/out.o", "../shared.h", "tool.sh"):
        (root / name).write_text(f"{name}\n")
    (root / "tool.sh").chmod(0o755)
    (root / "link.h").symlink_to("../shared.h")
    for words in (["init", "-q"], ["add", "-A"], ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "-m", "x"]):
        subprocess.run(["git", "-C", str(top), *words], check=True)
    (root / "gone.c").unlink()
    (root / "SConstruct").write_text("edited\n")
    (root / "new file.c").write_text("new\n")
    return root


def test_a_git_tree_is_copied_as_it_lies_there(project, tmp_path):
    tree = tree_of(str(project), ["build"], [str(project / "vendor/vmlinux.h")])
    assert tree.base == str(project.parent) and tree.git
    names = {"SConstruct", "new file.c", "vendor/vmlinux.h", "link.h", "tool.sh", ".gitignore"}
    assert set(tree.files) == {f"firmware/{name}" for name in names} | {"shared.h"}
    assert tree.origin == "7 files: 5 that git tracks, 1 that it neither tracks nor ignores, 1 that pins name"
    copy_tree(tree, str(tmp_path / "copy"), backwards=True, modified=YEAR_2001)
    copy = tmp_path / "copy/firmware"
    assert (copy / "SConstruct").read_text() == "edited\n" and (copy / "SConstruct").stat().st_mtime == YEAR_2001
    assert (copy / "link.h").is_symlink() and (copy / "link.h").read_text() == "../shared.h\n"
    assert os.access(copy / "tool.sh", os.X_OK) and not (copy / "secret").exists()
    states = [subprocess.run(["git", "-C", str(each), "status", "--porcelain"], capture_output=True, text=True).stdout for each in (project, copy)]
    assert states[0] == states[1] and " M firmware/SConstruct" in states[0], "git says the same of both"


@pytest.fixture
def nested(tmp_path):
    """A project with a submodule, which has one of its own; a third one isn't checked out."""
    for name, holds in (("inner", {}), ("absent", {}), ("middle", {"deep/inner": "inner"}), ("top", {"third_party/middle": "middle", "no": "absent"})):
        folder = tmp_path / name
        folder.mkdir()
        git(folder, "init", "-q")
        (folder / f"{name}.c").write_text(f"{name}\n")
        for place, other in holds.items():
            git(folder, "submodule", "--quiet", "add", str(tmp_path / other), place)
        git(folder, "add", "-A")
        git(folder, "commit", "-q", "-m", name)
    git(tmp_path / "top", "submodule", "--quiet", "update", "--init", "--recursive")
    git(tmp_path / "top", "submodule", "--quiet", "deinit", "--force", "no")
    return tmp_path / "top"


@pytest.mark.parametrize("edited", ["", "third_party/middle/deep/inner/inner.c", "third_party/middle/middle.c"])
def test_git_says_the_same_of_a_copy_s_submodules(nested, tmp_path, edited):
    if edited:
        (nested / edited).write_text("edited\n")
    inputs = ["top.c", "third_party/middle/middle.c", "third_party/middle/deep/inner/inner.c"]
    copy_tree(tree_of(str(nested), [], []), str(tmp_path / "copy"))
    for name in inputs:
        assert (tmp_path / "copy" / name).read_bytes() == (nested / name).read_bytes()
    found = [tree_refusals(str(each), inputs) for each in (nested, tmp_path / "copy")]
    assert found[0] == found[1] and [line.split()[0] for line in found[0]] == (["third_party/middle"] if edited else [])


def test_nothing_committed_and_no_git_at_all(tmp_path):
    root = tmp_path / "plain"
    (root / "build").mkdir(parents=True)
    (root / "venv").mkdir()
    for name in ("SConstruct", "build/out.o", "venv/pyvenv.cfg", ".sconsign.dblite"):
        (root / name).write_text("x")
    os.mkfifo(root / "pipe")
    assert tree_of(str(root), ["build"], []).files == ("SConstruct",)
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    (root / ".gitignore").write_text("build\nvenv\n.sconsign.dblite\n")
    tree = tree_of(str(root), ["build"], [])
    assert tree.git and tree.files == (".gitignore", "SConstruct")
    copy_tree(tree, str(tmp_path / "copy"))
    assert (tmp_path / "copy/SConstruct").read_text() == "x"
