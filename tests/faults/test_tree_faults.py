"""Trees and stores."""

import subprocess

import pytest
from mounts import mounted
from rows import rows
from staged import ARGUMENTS


@pytest.mark.slow
@rows(["8 builds at once in one tree"])
def test_builds_at_once(staged, fault):
    """They take turns: the first one builds, the others find nothing to do."""
    staged.edit()
    builds = [staged.project.start(*ARGUMENTS, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) for _ in range(8)]
    said = [build.communicate(timeout=240)[0] for build in builds]
    assert [build.returncode for build in builds] == [0] * 8, said
    assert sum("LINK " in text for text in said) == 1
    assert staged.now() == staged.outputs[staged.version]
    staged.require_null()


@pytest.fixture
def read_only(staged):
    """A function: a folder -> what `staged` builds while that folder can't be written."""

    def build(folder):
        with mounted(folder, "--bind {} {}", "-o remount,ro,bind {}") as place:
            return staged.build_inside(place)

    return build


@pytest.mark.slow
@rows(["a read-only store that has all that is pinned"])
def test_a_full_store(staged, read_only, fault):
    """The right bytes."""
    staged.edit()
    staged.forget_headers()
    done = read_only(staged.project.cache)
    assert done.returncode == 0, done.stderr
    assert staged.now() == staged.outputs[staged.version]


@rows(["a read-only store that lacks what is pinned"])
def test_a_store_that_lacks_something(staged, read_only, fault):
    """One line; with a store that can be written the next build gives the right bytes."""
    staged.prepare("fetch")
    done = read_only(staged.project.cache)
    assert done.returncode == 2 and "the cache folder can't be used: Read-only file system; make it writable" in done.stderr
    assert done.stderr.count("\n") == 1 and "Traceback" not in done.stderr
    staged.require_right()


@rows(["a read-only tree with an edited source"])
def test_a_tree(staged, read_only, fault):
    """One line that names the file; in a tree that can be written the next build gives the right bytes."""
    staged.edit()
    done = read_only(staged.project.folder)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert sum("***" in line for line in done.stderr.splitlines()) == 1 and "Read-only file system" in done.stderr
    staged.require_whole()
    staged.require_right()
