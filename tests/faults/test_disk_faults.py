"""Full disks."""

import shutil

import pytest
from mounts import mounted
from rows import rows
from scons_project import ROOT

TMPFS = "-t tmpfs -o mode=755,size=40m,nr_inodes=3000 none {}"
WRITING = ("fetch", "index", "compile", "link", "prove", "skeleton", "package", "scons")
FULL = {f"no {what} left in {stage}": (stage, what == "inode") for stage in WRITING for what in ("byte", "inode")}


@pytest.fixture(scope="module")
def struck(tmp_path_factory, staged, known):
    """What each build ends with, by fault: of one tree and one store, each goes on where the last one ended."""
    folder, ended = tmp_path_factory.mktemp("full"), {}
    with mounted(folder, TMPFS) as place:
        full = staged.unbuilt(place, known(ROOT))
        for fault, (stage, inodes) in FULL.items():
            ended[fault] = full.build({"do": "fill", "stage": stage, "at": 1, "filler": f"{folder}/filler", "inodes": inodes})
            shutil.rmtree(place.seen / "filler")  # is there, or nothing was struck
            full.require_whole()
        full.require_right()
        full.require_null()
    return ended


@pytest.mark.slow
@rows(FULL)
def test_a_full_disk(struck, request, fault):
    """One line says where to make room; what lies in its place is whole, and once there is room the build goes on from it."""
    done = struck[request.node.callspec.id]
    lines = [line for line in done.stderr.splitlines() if "No space left on device" in line]
    (error,) = [line for line in lines if line.startswith("scons: *** ")] or [""]
    assert "Traceback" not in done.stderr and "None:" not in done.stderr
    assert done.returncode == 2 and "make room" in error, done.stdout + done.stderr
    assert all(".sconsign.dblite: No space left on device; make room there" in line for line in lines if line != error)
