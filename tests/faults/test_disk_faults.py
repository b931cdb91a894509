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
    require_told(struck[request.node.callspec.id])


LATER = {f"no {what} left later, when {stage} is {share:.0%} done": (stage, share, what == "inode") for stage, share, what in (
    ("ledger", 0.02, "inode"), ("ledger", 0.4, "byte"), ("ledger", 0.6, "byte"), ("ledger", 0.85, "byte"), ("ledger", 1, "byte"),
    ("link", 0.5, "inode"), ("package", 0.5, "byte"), ("papers", 0.5, "byte"), ("scons", 0.2, "inode"), ("scons", 0.95, "byte"),
)}  # fmt: skip


@pytest.mark.slow
@rows(LATER)
def test_a_disk_that_is_full_later(tmp_path, staged, known, fault):
    """As above, though SCons's file and the ledger, which is written all the time, are what finds no room."""
    stage, share, inodes = fault
    with mounted(tmp_path, TMPFS) as place:
        full = staged.unbuilt(place, known(ROOT))
        at = max(1, int(share * staged.moments[stage]))
        done = full.build({"do": "fill", "stage": stage, "at": at, "filler": f"{tmp_path}/filler", "inodes": inodes})
        shutil.rmtree(place.seen / "filler")
        require_told(done)
        full.require_whole()
        full.require_right()


def require_told(done):
    """Fails unless each line about the full disk, one of which ends the build, says what to do, and there is nothing else."""
    lines = [line for line in done.stderr.splitlines() if not line.startswith("ebpf: fetched ")]
    assert all("No space left on device" in line and "make room" in line for line in filter(None, lines)), done.stderr
    ended = [line for line in lines if line.startswith("scons: *** ")]
    assert done.returncode == 2 and ended, done.stdout + done.stderr
    assert all(line in ended or ".sconsign.dblite: " in line for line in filter(None, lines)), done.stderr
