"""A cache in a folder: what is kept is found again, and whatever else lies there is a miss, told once and replaced."""

import os
import random
import stat
import subprocess
import sys
import time
from dataclasses import replace

import pytest
from cache_lab import INPUTS, KEY, MADE, NAMES, passes, result, sha256
from hypothesis import given, settings
from hypothesis import strategies as st

from ebpfbuild.step_cache.action_result import decoded, encoded
from ebpfbuild.step_cache.cache import Made, StepCache, with_said
from ebpfbuild.step_cache.folder import FolderPlace

OBJECT = sha256(MADE.files["object.o"])


@pytest.fixture
def root(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def opened(root):
    """A function: read_only -> a StepCache on the one folder, and what it says."""

    def make(read_only=False):
        said = []
        return StepCache(FolderPlace(root, read_only), said.append, read_only), said

    return make


@pytest.fixture
def cache(opened):
    """A StepCache with one result."""
    cache, said = opened()
    assert cache.find(INPUTS, NAMES, passes) is None
    cache.keep({INPUTS: NAMES}, MADE)
    assert (said, cache.hits, cache.misses) == ([], 0, 1)
    return cache


def test_what_is_kept_is_found_by_its_inputs_alone(cache, root):
    assert cache.find(INPUTS, NAMES, passes) == MADE
    assert cache.find(INPUTS + " ", NAMES, passes) is None
    assert {path.name for path in root.rglob("*") if path.is_file()} == {KEY, *map(sha256, MADE.files.values())}


def test_one_result_serves_as_several_with_fewer_files(cache):
    cache.keep({"proven": NAMES, "plain": ["object.o"]}, MADE)
    assert cache.find("proven", NAMES, passes) == MADE
    assert cache.find("plain", ["object.o"], passes).files == {"object.o": MADE.files["object.o"]}


def flipped(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    return bytes(data)


def replaced(path, make):
    path.unlink()
    make(path)


OTHER_FILES, DAMAGED = "names other files than the step makes", "is damaged: its seal is of another result"


def sealed_with(notices, warnings):
    """The result of somebody who knows the seal, with what no step says."""
    whole = decoded(result())
    return encoded(with_said(whole._replace(stderr=b""), notices, warnings))


WRONG_RESULTS = {
    "nothing in it": ("is a result of other inputs", lambda path: b""),
    "half of it": ("is no message", lambda path: path.read_bytes()[:90]),
    "HTML": ("is no message", lambda path: b"<html>no such page</html>"),
    "a warning changed": (DAMAGED, lambda path: path.read_bytes().replace(b"warning: w", b"warning: x")),
    "other inputs": ("is a result of other inputs", lambda path: result(stdout_raw=b"{}")),
    "another file": (OTHER_FILES, lambda path: result(object={"path": "main.o"})),
    "a file out of it": (OTHER_FILES, lambda path: result(object={"path": "../../../.bashrc"})),
    "a file's whole path": (OTHER_FILES, lambda path: result(object={"path": "/etc/passwd"})),
    "a file twice": ("names a file twice", lambda path: result(vmlinux={"path": "object.o"})),
    "a size too small": ("is larger than the 5 bytes", lambda path: result(object={"digest": {"hash": OBJECT, "size_bytes": 5}})),
    "a size too large": ("holds other bytes than its name says", lambda path: result(object={"digest": {"hash": OBJECT, "size_bytes": 5000}})),
    "terabytes": ("names files that are larger", lambda path: result(object={"digest": {"hash": OBJECT, "size_bytes": 1 << 40}})),
    "a failure": ("is of an action that failed", lambda path: result(exit_code=1)),
    "nothing said": (DAMAGED, lambda path: result(b"")),
    "no seal": (DAMAGED, lambda path: result(b'{"notices": [], "warnings": ""}')),
    "something odd said": (DAMAGED, lambda path: result(b'{"notices": 4, "warnings": 5}')),
    "numbers said": (DAMAGED, lambda path: sealed_with([4], "")),
    "a warning that is none": (DAMAGED, lambda path: sealed_with([], None)),
    "lists said": (DAMAGED, lambda path: sealed_with([["x"]], ["y"])),
    "deep JSON": (DAMAGED, lambda path: result(b"[" * 100_000)),
    "gigabytes": ("is larger than the 1048576 bytes", lambda path: b"\0" * ((1 << 20) + 1)),
}


@pytest.mark.parametrize("what", WRONG_RESULTS)
def test_a_result_that_is_wrong_is_set_aside_told_and_made_anew(cache, opened, root, what):
    why, wrong = WRONG_RESULTS[what]
    path = root / "ac" / KEY
    path.chmod(0o600)
    path.write_bytes(wrong(path))
    cache, said = opened()
    assert cache.find(INPUTS, NAMES, passes) is None
    (line,) = said
    assert line.startswith(f"CACHE: {root}/") and why in line and "; it is set aside as " in line and "\n" not in line
    assert cache.rejected == 1 and len(list((root / "rejected").iterdir())) == 1
    cache.keep({INPUTS: NAMES}, MADE)
    assert cache.find(INPUTS, NAMES, passes) == MADE and len(said) == 1


def test_a_result_as_another_client_writes_it_is_found(cache, root):
    (root / "ac" / KEY).chmod(0o600)
    (root / "ac" / KEY).write_bytes(result())
    assert cache.find(INPUTS, NAMES, passes) == MADE


WRONG_FILES = {
    "nothing": lambda path: path.write_bytes(b""),
    "half": lambda path: path.write_bytes(path.read_bytes()[:300]),
    "a bit flipped": lambda path: path.write_bytes(flipped(path)),
    "other bytes": lambda path: path.write_bytes(b"x" * path.stat().st_size),
    "more": lambda path: path.write_bytes(path.read_bytes() + b"x"),
    "a link": lambda path: replaced(path, lambda path: path.symlink_to("/etc/passwd")),
    "a link to itself": lambda path: replaced(path, lambda path: path.symlink_to(path)),
    "a folder": lambda path: replaced(path, lambda path: (path / "full").mkdir(parents=True)),
    "a pipe": lambda path: replaced(path, os.mkfifo),
    "a device": lambda path: replaced(path, lambda path: path.symlink_to("/dev/zero")),
}


@pytest.mark.parametrize("kind", ["ac", "cas"])
@pytest.mark.parametrize("what", WRONG_FILES)
def test_whatever_lies_in_a_file_s_place_is_set_aside_and_replaced(cache, opened, root, what, kind):
    path = root / kind / (KEY if kind == "ac" else OBJECT)
    path.chmod(0o600)
    WRONG_FILES[what](path)
    cache, said = opened()
    assert cache.find(INPUTS, NAMES, passes) is None
    assert len(said) == 1 and "it is set aside as " in said[0]
    cache.keep({INPUTS: NAMES}, MADE)
    assert cache.find(INPUTS, NAMES, passes) == MADE


@pytest.mark.parametrize("held", [False, True])
def test_whichever_bit_of_a_result_flips_nothing_else_comes_of_it(cache, root, held):
    path = root / "ac" / KEY
    files = {name.partition(".")[0]: {"contents": data} for name, data in MADE.files.items()}
    data = result(**files) if held else path.read_bytes()
    for place in range(0, len(data), 5 if held else 1):
        path.unlink(missing_ok=True)
        path.write_bytes(data[:place] + bytes([data[place] ^ 1 << place % 8]) + data[place + 1 :])
        # Of a file that is no longer said to be held here, cas/ has the bytes.
        assert cache.find(INPUTS, NAMES, passes) in ((None, MADE) if held else (None,)), place


def test_what_no_step_makes_is_a_miss(cache):
    def check(files):
        raise ValueError("is no object")

    assert cache.find(INPUTS, NAMES, check) is None and cache.rejected == 1


def test_a_file_that_was_removed_under_its_result_is_a_miss_without_a_word(cache, opened, root):
    (root / "cas" / OBJECT).unlink()
    cache, said = opened()
    assert cache.find(INPUTS, NAMES, passes) is None
    assert said == [] and cache.rejected == 0


def test_many_wrong_entries_are_told_in_one_line(opened, root):
    cache, said = opened()
    for number in range(30):
        cache.keep({str(number): NAMES}, MADE)
    for path in (root / "ac").iterdir():
        path.chmod(0o600)
        path.write_bytes(b"\xff")
    assert [cache.find(str(number), NAMES, passes) for number in range(30)] == [None] * 30
    assert len(said) == 1 and cache.rejected == 30


def test_one_that_is_read_only_is_never_changed(cache, opened, root):
    (root / "cas" / OBJECT).chmod(0o600)
    (root / "cas" / OBJECT).write_bytes(b"x")
    before = {path: (path.stat().st_mtime_ns, path.stat().st_ctime_ns) for path in [root, *root.rglob("*")]}
    reader, said = opened(read_only=True)
    assert reader.find(INPUTS, NAMES, passes) is None and "it is passed over" in said[0]
    reader.keep({"more": NAMES}, MADE)
    assert {path: (path.stat().st_mtime_ns, path.stat().st_ctime_ns) for path in [root, *root.rglob("*")]} == before


def test_a_reader_makes_no_folder(opened, root):
    reader, said = opened(read_only=True)
    assert reader.find(INPUTS, NAMES, passes) is None
    reader.keep({INPUTS: NAMES}, MADE)
    assert not root.exists() and said == []


@pytest.mark.parametrize("place", ["file", "file/below"])
def test_a_folder_that_can_t_be_made_is_told_once_and_asked_no_more(tmp_path, place):
    (tmp_path / "file").write_text("")
    said = []
    cache = StepCache(FolderPlace(tmp_path / place), said.append)
    for _ in range(3):
        assert cache.find(INPUTS, NAMES, passes) is None
        cache.keep({INPUTS: NAMES}, MADE)
    assert said == [f"CACHE: {tmp_path}/{place} isn't used any more in this build, since Not a directory"]


def test_a_full_disk_is_told_once_and_what_is_there_is_still_taken(cache, opened, root, monkeypatch):
    cache, said = opened()

    def full(*args, **more):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.mkstemp", full)
    for _ in range(3):
        cache.keep({"more": NAMES}, MADE)
    assert said == [f"CACHE: {root} takes nothing more in this build, since No space left on device"]
    assert cache.find(INPUTS, NAMES, passes) == MADE


def test_nothing_half_written_has_a_name(root, opened, monkeypatch):
    cache, _ = opened()
    monkeypatch.setattr("ebpfbuild.step_cache.folder.share_like", lambda *args: (_ for _ in ()).throw(OSError(5, "I/O error")))
    cache.keep({INPUTS: NAMES}, MADE)
    assert [path for path in root.rglob("*") if path.is_file()] == []


KEEPING = """
import sys
sys.path[:0] = {path!r}
from cache_lab import MADE, NAMES
from ebpfbuild.step_cache.cache import StepCache
from ebpfbuild.step_cache.folder import FolderPlace
from pathlib import Path
cache = StepCache(FolderPlace(Path({root!r})), print)
print("ready", flush=True)
while True:
    for number in range(9):
        cache.keep({{str(number): NAMES}}, MADE)
"""


def test_builds_killed_at_any_moment_leave_nothing_half_written(opened, root):
    draw = random.Random(1)
    script = KEEPING.format(path=[path for path in sys.path if path], root=str(root))
    for _ in range(5):
        with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as process:
            assert process.stdout.readline() == b"ready\n"
            time.sleep(draw.uniform(0, 0.03))
            process.kill()
    cache, said = opened()
    whole = [path for path in (root / "cas").iterdir() if not path.name.startswith(".")]
    assert whole and all(sha256(path.read_bytes()) == path.name for path in whole)
    assert all(cache.find(str(number), NAMES, passes) in (None, MADE) for number in range(9))
    assert said == [] and cache.hits


def test_it_belongs_to_the_users_of_its_folder(root, opened):
    root.mkdir()
    root.chmod(0o2770)
    before = os.umask(0o077)
    try:
        cache, _ = opened()
        cache.keep({INPUTS: NAMES}, MADE)
    finally:
        os.umask(before)
    assert {stat.S_IMODE((root / name).stat().st_mode) for name in ("ac", "cas")} == {0o2770}
    assert {stat.S_IMODE(path.stat().st_mode) for path in root.rglob("*") if path.is_file()} == {0o440}


def test_what_is_there_already_is_not_written_again(cache, root):
    """In a folder with the sticky bit nobody may replace another user's file."""
    before = {path: path.stat().st_ino for path in root.rglob("*") if path.is_file()}
    cache.keep({INPUTS: NAMES}, MADE)
    assert {path: path.stat().st_ino for path in root.rglob("*") if path.is_file()} == before


def test_what_is_used_is_new_and_what_killed_builds_left_goes(cache, opened, root):
    old = time.time() - 40 * 86400
    (root / "ac" / ".incoming-x").write_bytes(b"half")
    for path in root.rglob("*"):
        os.utime(path, (old, old))
    cache, _ = opened()
    assert cache.find(INPUTS, NAMES, passes) == MADE
    cache.keep({"more": NAMES}, MADE)
    assert [path for path in root.rglob("*") if path.is_file() and path.stat().st_mtime < old + 1] == []


def test_what_is_too_large_is_not_kept(opened, root):
    cache, said = opened()
    cache.keep({INPUTS: NAMES}, replace(MADE, warnings="w" * (1 << 20)))
    assert not root.exists() and said == []


@settings(max_examples=25)
@given(st.dictionaries(st.text(min_size=1, max_size=9), st.binary(max_size=99), min_size=1, max_size=3), st.lists(st.text()), st.text())
def test_any_result_comes_back_as_it_was(tmp_path_factory, files, notices, warnings):
    made = Made(files, tuple(notices), warnings)
    cache = StepCache(FolderPlace(tmp_path_factory.mktemp("any")), [].append)
    cache.keep({INPUTS: files}, made)
    assert cache.find(INPUTS, files, passes) == made
