"""A shared cache."""

import hashlib
import json
import random
import signal

import pytest
from mounts import mounted
from rows import SEED, rounds, rows

TAKEN = "from the cache"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("cache") / "cache"


@pytest.fixture(scope="module")
def moments(staged, folder):
    """The moments of a build that fills the cache and of one that takes from it, which then has both versions."""
    counts, found = folder.parent / "counts", {}
    for what in ("keeps", "keeps", "takes"):
        staged.edit()
        done = staged.build({"count": str(counts)}, f"CACHE={folder}")
        assert done.returncode == 0 and (what == "takes") == (f"0 of 2 {TAKEN}" not in done.stdout), done.stdout
        found[what] = json.loads(counts.read_text())["cache"]
    return found


def require_whole(folder):
    """Fails if a file of the cache isn't what its name says; one that was on its way in has no such name."""
    files = [path for path in (folder / "cas").glob("*") if not path.name.startswith(".")]
    assert all(hashlib.sha256(path.read_bytes()).hexdigest() == path.name for path in files)


@pytest.mark.slow
@rows([f"kill -9 of a build that {what} a cache" for what in ("keeps in", "takes from")])
def test_a_killed_build(staged, folder, moments, fault):
    """What lies in the cache is whole; the next build with it gives the right bytes."""
    what = fault.split()[6]
    draw = random.Random(f"{SEED} {fault}")
    for number in range(rounds(2)):
        cache = folder.parent / f"empty{number}" if what == "keeps" else folder
        staged.edit()
        order = {"do": "kill", "stage": "cache", "at": draw.randint(1, int(0.8 * moments[what])), "later": draw.uniform(0, 0.003)}
        done = staged.build(order, f"CACHE={cache}")
        assert done.returncode in (0, -signal.SIGKILL), (order, done.stdout + done.stderr)
        staged.require_whole()
        require_whole(cache)
        done = staged.build(None, f"CACHE={cache}")
        assert done.returncode == 0 and "CACHE:" not in done.stderr, (order, done.stderr)
        assert staged.now() == staged.outputs[staged.version]
        require_whole(cache)


DAMAGE = {
    "entries cut short": lambda path, data: path.write_bytes(data[: len(data) // 2]),
    "entries with a bit flipped": lambda path, data: path.write_bytes(data[:-9] + bytes([data[-9] ^ 4]) + data[-8:]),
}


@pytest.mark.slow
@rows(DAMAGE)
def test_damaged_entries(staged, folder, moments, fault):
    """Misses, told in one line; the right bytes, and the next build from the cache has whole entries again."""
    for path in [*(folder / "cas").iterdir(), *(folder / "ac").iterdir()]:
        path.chmod(0o600)
        fault(path, path.read_bytes())
    for _ in range(2):  # of each version
        staged.edit()
        done = staged.build(None, f"CACHE={folder}")
        assert done.returncode == 0 and done.stderr.count("CACHE: ") == 1 and f"0 of 2 {TAKEN}" in done.stdout, done.stdout + done.stderr
        assert staged.now() == staged.outputs[staged.version]
    require_whole(folder)
    staged.edit()
    assert f"2 of 2 {TAKEN}" in staged.build(None, f"CACHE={folder}").stdout
    assert staged.now() == staged.outputs[staged.version]


@rows({f"no {what} left for a cache": options for what, options in (("byte", "size=16k"), ("inode", "nr_inodes=3"))})
def test_a_full_disk(staged, tmp_path, fault):
    """One line; the right bytes."""
    with mounted(tmp_path, f"-t tmpfs -o {fault} none {{}}") as place:
        staged.edit()
        done = staged.build_inside(place, f"CACHE={tmp_path}")
    assert done.returncode == 0 and done.stderr.count("CACHE: ") == 1 and "No space left on device" in done.stderr, done.stderr
    assert staged.now() == staged.outputs[staged.version]
