"""A cache folder of several users: each reads what the others put there, and nobody is locked out by a umask.

Root plays the users, each in a process of its own.
"""

import hashlib
import os

import pytest
from users import become

from ebpfbuild.errors import CacheError
from ebpfbuild.fetch.store import Store
from ebpfbuild.minimize.index_cache import IndexCache
from slow import slow_after

DATA = b"struct sock {};\n" * 1000
DIGEST = hashlib.sha256(DATA).hexdigest()
ANN, BOB, TEAM = 64001, 64002, 64100  # uids, each also the gid of that user's own group, and the group of both

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes other users")


@pytest.fixture
def root(open_folder):
    """The cache folder, which isn't there yet, in a folder that every user can reach."""
    return open_folder / "cache"


@pytest.fixture
def shared(root):
    """A function: mode -> a store whose folder belongs to Ann and the team."""

    def make(mode):
        root.mkdir()
        os.chown(root, ANN, TEAM)
        root.chmod(mode)
        return Store(root, notices.append)

    notices = []
    make.notices = notices
    return make


def use(store, data=DATA):
    """Does what a build does: finds an entry, or locks, fetches and keeps it; and puts another one aside."""
    digest = hashlib.sha256(data).hexdigest()
    with store.lock(digest, "vmlinux.h"):
        assert (store.get(digest) or store.add(data)).read_bytes() == data
    with store.incoming() as incoming:
        incoming.write(data[:100])
        incoming.reject("vmlinux.h")


@pytest.mark.parametrize("umask", slow_after(2, [0o022, 0o077, 0o002]))
@pytest.mark.parametrize("mode", [0o2770, 0o770, 0o2777, 0o777, 0o3777])
def test_each_user_reads_and_adds(shared, umask, mode):
    store = shared(mode)
    for user, data in ((ANN, DATA), (BOB, DATA), (BOB, b"bob"), (ANN, b"bob"), (ANN, b"ann"), (BOB, b"ann")):
        become(user, [TEAM], umask, lambda data=data: use(store, data))
    for path in (store.root / "sha256", store.root / "lock", store.root / "rejected"):
        assert (path.stat().st_mode & 0o7777, path.stat().st_gid) == (mode, TEAM)
    for path in store.blobs.iterdir():
        assert (path.stat().st_mode & 0o7777, path.stat().st_gid) == (0o444 & mode, TEAM)


def test_who_is_not_of_the_group_gives_it_no_rights(shared):
    """Bob may write there, as everybody may; what is his is not for his own group by mistake."""
    store = shared(0o777)
    become(BOB, [], 0o022, lambda: use(store))
    entry = store.blobs / DIGEST
    assert (entry.stat().st_gid, entry.stat().st_mode & 0o777) == (BOB, 0o404)
    become(ANN, [TEAM], 0o022, lambda: use(store))


@pytest.mark.parametrize("mode", [0o755, 0o555, 0o2775])
def test_a_store_that_only_others_may_write_is_read(shared, mode):
    store = shared(mode | 0o200)
    become(ANN, [TEAM], 0o022, lambda: use(store))
    store.root.chmod(mode)

    def read():
        with store.lock(DIGEST, "vmlinux.h"):
            assert store.get(DIGEST).read_bytes() == DATA
        with pytest.raises(CacheError, match="the cache folder can't be used: Permission denied; make it writable or set EBPF_CACHE"):
            store.add(b"other")
        with store.lock("0" * 64, "another"):
            pass

    become(BOB, [], 0o022, read)


def test_a_corrupt_entry_that_only_others_may_remove_is_told_and_not_used(shared):
    store = shared(0o755)
    become(ANN, [TEAM], 0o022, lambda: use(store))
    (store.blobs / DIGEST).write_bytes(b"X")

    def look():
        assert store.get(DIGEST) is None
        assert shared.notices == [f"the cache's copy of {DIGEST[:12]}… is corrupt, and this user can't remove it"]

    become(BOB, [], 0o022, look)


def test_another_s_good_entry_stays_in_a_sticky_folder(shared):
    store = shared(0o3777)
    become(ANN, [TEAM], 0o022, lambda: use(store))
    become(BOB, [TEAM], 0o022, lambda: store.add(DATA))
    assert (store.blobs / DIGEST).stat().st_uid == ANN and len(os.listdir(store.blobs)) == 1


def test_two_users_keep_their_indexes(shared, root):
    store = shared(0o2770)
    headers = {name: root.parent / name for name in ("a", "b")}
    for name, path in headers.items():
        path.write_text(f"struct {name} {{ int x; }};\n")
        path.chmod(0o644)
    for user, name in ((ANN, "a"), (BOB, "b")):
        become(user, [TEAM], 0o077, lambda name=name: IndexCache(store.root, lambda key, find: find()).get(headers[name], name * 64))
    assert len(os.listdir(root / "index")) == 2
