"""The cache folder: nothing leaves it unverified, nothing enters it by halves."""

import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from ebpfbuild.errors import CacheError
from ebpfbuild.fetch.store import PATIENCE, Store, cache_folder, sha256sums

DATA = b"struct sock {};\n" * 1000
DIGEST = hashlib.sha256(DATA).hexdigest()
CORE = Path(__file__).resolve().parents[3] / "site_scons"


@pytest.fixture
def notices():
    return []


@pytest.fixture
def store(tmp_path, notices):
    return Store(tmp_path / "cache", notices.append)


@pytest.mark.parametrize("environ, folder", [
    ({"EBPF_CACHE": "/a", "XDG_CACHE_HOME": "/b", "HOME": "/c"}, "/a"),
    ({"EBPF_CACHE": "", "XDG_CACHE_HOME": "/b", "HOME": "/c"}, "/b/scons-bpf"),
    ({"XDG_CACHE_HOME": "relative", "HOME": "/c"}, "/c/.cache/scons-bpf"),
    ({"HOME": "/c"}, "/c/.cache/scons-bpf"),
    ({"EBPF_CACHE": "here"}, str(Path.cwd() / "here")),
])
def test_the_environment_names_the_folder(environ, folder):
    assert cache_folder(environ) == Path(folder)


def test_without_a_home_the_way_out_is_told():
    with pytest.raises(CacheError, match="set EBPF_CACHE to a folder"):
        cache_folder({})


def test_what_was_added_is_there_and_read_only(store, notices):
    assert store.get(DIGEST) is None
    path = store.add(DATA)
    assert path == store.root / "sha256" / DIGEST == store.get(DIGEST)
    assert path.read_bytes() == DATA and path.stat().st_mode & 0o777 == 0o444
    assert store.add(DATA) == path and os.listdir(store.blobs) == [DIGEST] and not notices


def test_what_is_larger_than_other_files_stays_there(store, notices):
    """A kernel's package has up to 120 MB: more than is read of any other file."""
    with store.incoming() as incoming:
        for _ in range(65):
            incoming.write(bytes(1 << 20))
        path = incoming.keep()
    assert store.get(path.name) == path and notices == []


def test_a_tree_is_whole_or_not_there(store):
    files = {"b.h": b"b", "a.h": b"a"}
    paths = {name: store.add(data) for name, data in files.items()}
    listing = sha256sums({name: path.name for name, path in paths.items()})
    digest = store.add(listing).name
    assert {name: path.read_bytes() for name, path in store.tree(digest).items()} == files
    paths["a.h"].unlink()
    assert store.tree(digest) is None
    paths["a.h"].write_bytes(b"c")
    assert store.tree(digest) is None
    assert store.tree("0" * 64) is None


def test_a_trees_digest_is_what_sha256sum_says(tmp_path):
    for name in ("b.h", "a.h", "a_b.h"):
        (tmp_path / name).write_text(name * 3)
    names = sorted(os.listdir(tmp_path))
    said = subprocess.run("sha256sum *.h | sha256sum", shell=True, cwd=tmp_path, capture_output=True, text=True,
                          env={**os.environ, "LC_ALL": "C"}).stdout.split()[0]
    digests = {name: hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() for name in reversed(names)}
    assert hashlib.sha256(sha256sums(digests)).hexdigest() == said


def test_what_is_neither_kept_nor_rejected_is_gone(store):
    with pytest.raises(RuntimeError), store.incoming() as incoming:
        incoming.write(b"half")
        raise RuntimeError
    assert os.listdir(store.blobs) == []


def test_a_restart_forgets_what_was_written(store):
    with store.incoming() as incoming:
        incoming.write(b"other bytes, and more of them than the next ones" * 1000)
        incoming.restart()
        incoming.write(DATA)
        assert (incoming.size, incoming.head) == (len(DATA), DATA[:1024])
        assert incoming.keep().read_bytes() == DATA
    assert store.get(DIGEST)


def test_what_a_killed_build_left_is_no_entry_and_is_swept(store):
    script = (f"import sys, time; sys.path.insert(0, {str(CORE)!r})\n"
              "from pathlib import Path\nfrom ebpfbuild.fetch.store import Store\n"
              f"with Store(Path({str(store.root)!r})).incoming() as incoming:\n"
              "    incoming.write(b'half')\n    print('writing', flush=True)\n    time.sleep(60)\n")
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as child:
        assert child.stdout.readline() == b"writing\n"
        child.send_signal(signal.SIGKILL)
    (left,) = store.blobs.iterdir()
    assert left.name.startswith(".incoming-")
    store.add(DATA)
    assert left.exists(), "it might be another build's"
    os.utime(left, (time.time() - 90_000,) * 2)
    store.add(DATA)
    assert os.listdir(store.blobs) == [DIGEST]


def test_the_second_waits_for_the_first_and_says_so(store, notices):
    order = []

    def second() -> None:
        with store.lock(DIGEST, "vmlinux.h"):
            order.append("second")

    with store.lock(DIGEST, "vmlinux.h"):
        thread = threading.Thread(target=second)
        thread.start()
        while not notices:
            time.sleep(0.005)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]
    assert notices == [f"waiting for another build that is fetching vmlinux.h (process {os.getpid()})"]


def test_one_that_has_the_lock_and_brings_nothing_is_waited_for_no_longer(store, notices, monkeypatch):
    """It has been stopped, or what it reads from hangs. While bytes come, however slowly, it is waited for."""
    clock, arriving = [0.0], store.blobs / ".incoming-x"

    def sleep(seconds):
        clock[0] += seconds
        if clock[0] < 1000 and int(clock[0]) % 100 == 0:
            arriving.write_bytes(b"x" * int(clock[0]))

    with store.lock(DIGEST, "vmlinux.h"):
        store.blobs.mkdir()
        monkeypatch.setattr("ebpfbuild.fetch.store.time", SimpleNamespace(monotonic=lambda: clock[0], sleep=sleep))
        with store.lock(DIGEST, "vmlinux.h"):
            assert 900 + PATIENCE <= clock[0] < 902 + PATIENCE
    process = f"(process {os.getpid()})"
    assert notices == [
        f"waiting for another build that is fetching vmlinux.h {process}",
        f"another build {process} has brought nothing for {PATIENCE} s; fetching vmlinux.h without it",
    ]


def test_a_folder_that_can_not_be_is_one_clear_error(tmp_path):
    (tmp_path / "file").write_text("")
    for root in (tmp_path / "file", tmp_path / "file/below"):
        with pytest.raises(CacheError) as caught:
            Store(root).add(DATA)
        assert str(caught.value) == (f"{root}: the cache folder can't be used: {caught.value.what.split(': ')[1]}; "
                                     "make it writable or set EBPF_CACHE to another folder")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full to stand for a full disk")
def test_a_full_disk_is_one_clear_error(store):
    with store.incoming() as incoming:
        incoming._file.close()
        incoming._file = open("/dev/full", "wb", buffering=0)
        with pytest.raises(CacheError, match="No space left on device; make room there or set EBPF_CACHE"):
            incoming.write(DATA)


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes wherever it likes")
def test_a_read_only_cache_still_serves(store):
    store.add(DATA)
    store.blobs.chmod(0o555)
    try:
        assert store.get(DIGEST).read_bytes() == DATA
        with pytest.raises(CacheError, match="make it writable"):
            store.add(b"other")
    finally:
        store.blobs.chmod(0o755)


@pytest.mark.parametrize("listing", [DATA, b"/etc/passwd  x\n", b"\xff" * 64, DIGEST.encode() + b"  ../x\n"])
def test_a_digest_of_what_is_no_tree_s_list_gives_no_tree(store, listing):
    assert store.tree(store.add(listing).name) is None


def test_who_waits_for_a_lock_can_be_interrupted(store):
    """An interrupt is only seen between two looks at the lock."""
    calls = []

    def heed():
        calls.append(1)
        if len(calls) == 2:
            raise InterruptedError

    with store.lock(DIGEST, "x"), pytest.raises(InterruptedError), store.lock(DIGEST, "x", heed):
        pytest.fail("two held it")
