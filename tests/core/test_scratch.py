"""What a process makes for a moment is gone when it is, and after kill -9 when the next one makes something there."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ebpfbuild import scratch
from ebpfbuild.files import write_file
from ebpfbuild.scratch import PREFIX, scratch_file, scratch_folder

SITE = Path(__file__).resolve().parents[2] / "site_scons"
HOLD = f"""
import sys
sys.path.insert(0, {str(SITE)!r})
from ebpfbuild.scratch import scratch_file, scratch_folder
with scratch_folder(sys.argv[1]) as folder, scratch_file(sys.argv[1]):
    open(folder + "/text", "w").close()
    print("there", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def process():
    """A function: a folder -> a process that has a scratch folder and a scratch file there."""
    started = []

    def start(folder):
        started.append(subprocess.Popen([sys.executable, "-I", "-c", HOLD, folder], stdin=-1, stdout=-1, text=True))
        assert started[-1].stdout.readline() == "there\n"
        return started[-1]

    yield start
    for each in started:
        each.kill()
        each.communicate()


def left(folder):
    """The names of what is there for a moment."""
    return {path.name for path in folder.glob(f"{PREFIX}*")}


@pytest.fixture(autouse=True)
def first_in_this_run(monkeypatch):
    monkeypatch.setattr(scratch, "_swept", set())


@pytest.mark.parametrize("make", [scratch_folder, scratch_file, lambda folder: write_file(folder / "x", b"x")])
def test_what_a_killed_process_left_goes_and_what_a_living_one_uses_stays(tmp_path, process, make):
    living = process(tmp_path)
    used = left(tmp_path)
    killed = process(tmp_path)
    assert len(left(tmp_path)) == 4
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    made = make(tmp_path)
    if made:
        with made:
            assert left(tmp_path) > used and len(left(tmp_path)) == len(used) + 1
    assert left(tmp_path) == used
    living.communicate("")
    assert not left(tmp_path)


def test_nothing_else_goes(tmp_path):
    os.mkfifo(tmp_path / f"{PREFIX}pipe")
    (tmp_path / f"{PREFIX}link").symlink_to("/etc/passwd")
    (tmp_path / "folder").mkdir()
    (tmp_path / f"{PREFIX}way").symlink_to("folder")
    (tmp_path / ".ebpf-ledger").touch()
    before = sorted(path.name for path in tmp_path.iterdir())
    with scratch_folder(tmp_path):
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_without_locks_age_tells(tmp_path, monkeypatch):
    monkeypatch.setattr(scratch.fcntl, "flock", lambda *_: (_ for _ in ()).throw(OSError(38, "no locks")))
    ages = {"fresh": 60, "old": 2 * 86400, "of another clock": 9 * 365 * 86400}
    for name, age in ages.items():
        (tmp_path / f"{PREFIX}{name}").mkdir()
        then = scratch.time.time() - age
        os.utime(tmp_path / f"{PREFIX}{name}", (then, then))
    with scratch_folder(tmp_path):
        assert {f"{PREFIX}fresh", f"{PREFIX}of another clock"} < left(tmp_path)
    assert left(tmp_path) == {f"{PREFIX}fresh", f"{PREFIX}of another clock"}


def lock_another(place):
    """Puts another folder there and locks it, as a sweep that is about to remove it."""
    os.rmdir(place)
    os.mkdir(place)
    scratch.fcntl.flock(os.open(place, os.O_RDONLY), scratch.fcntl.LOCK_EX)


@pytest.mark.parametrize("sweep", [lambda place: scratch._remove_dead(Path(place)), lock_another], ids=["swept", "being swept"])
def test_one_that_a_sweep_takes_is_made_anew(tmp_path, monkeypatch, sweep):
    """Between the making and the lock another process, or another thread of a build, may take it for a dead one's."""
    real, taken = scratch.tempfile.mkdtemp, []

    def mkdtemp(**arguments):
        place = real(**arguments)
        if not taken:
            taken.append(place)
            sweep(place)
        return place

    monkeypatch.setattr(scratch.tempfile, "mkdtemp", mkdtemp)
    with scratch_folder(tmp_path) as place:
        assert taken and place != taken[0] and os.path.isdir(place)


def test_a_parent_that_isn_t_there_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError), scratch_folder(tmp_path / "nowhere"):
        pass
