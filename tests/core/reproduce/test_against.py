"""Outputs that are symlinks, held against somebody else's build folder, wherever a copy of it lies."""

import shutil

import pytest
from ebpfbuild.reproduce.outputs import read_both
from ebpfbuild.reproduce.report import _pairs

LINKED = "build/python/app.py", "build/python/loader"


@pytest.fixture
def ours(tmp_path):
    """A project with a source, a folder of sources, and links to both in its build folder."""
    root = tmp_path / "ours"
    for name in ("src/app.py", "loader/a.py", "build/one.o"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(f"{name}\n")
    (root / "build/python").mkdir()
    (root / LINKED[0]).symlink_to("../../src/app.py")
    (root / LINKED[1]).symlink_to("../../loader")
    return root


def seen(ours, theirs):
    """The outputs that are compared, and which of them are the same."""
    pairs = _pairs(["build/one.o", *LINKED], theirs, ["build"])
    return {name: len(set(read_both(str(ours), name, other))) == 1 for name, other in pairs.items()}


def test_links_are_the_same_in_a_copy_from_which_they_lead_nowhere(ours, tmp_path):
    theirs = shutil.copytree(ours / "build", tmp_path / "elsewhere/deep/copy", symlinks=True)
    assert not (theirs / "python/app.py").exists()
    assert seen(ours, theirs) == {"build/one.o": True, LINKED[0]: True, LINKED[1]: True}


def test_a_file_in_a_link_s_place_is_compared_by_its_bytes(ours, tmp_path):
    theirs = shutil.copytree(ours / "build", tmp_path / "copy")  # as cp -rL
    assert seen(ours, theirs) == {"build/one.o": True, LINKED[0]: True}
    (theirs / "python/app.py").write_text("another\n")
    assert not seen(ours, theirs)[LINKED[0]]


def test_links_of_unlike_words_to_the_same_text_are_the_same_and_others_are_told(ours, tmp_path):
    theirs = shutil.copytree(ours, tmp_path / "theirs", symlinks=True) / "build"
    (theirs / "python/app.py").unlink()
    (theirs / "python/app.py").symlink_to(tmp_path / "theirs/src/app.py")
    assert seen(ours, theirs)[LINKED[0]]
    (theirs / "python/app.py").unlink()
    (theirs / "python/app.py").symlink_to("nowhere")
    found = read_both(str(ours), LINKED[0], theirs / "python/app.py")
    assert found == (b"symlink to ../../src/app.py", b"symlink to nowhere")


def test_a_link_to_a_folder_is_told_by_its_name(ours, tmp_path):
    theirs = shutil.copytree(ours / "build", tmp_path / "theirs", symlinks=True)
    for target, same in (("/opt/tool/loader", True), ("../../lodaer", False)):
        (theirs / "python/loader").unlink()
        (theirs / "python/loader").symlink_to(target)
        assert seen(ours, theirs)[LINKED[1]] == same
