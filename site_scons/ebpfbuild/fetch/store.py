"""Keeps files under their own sha256 in the cache folder, and verifies each that is taken out.

Several users may share it (2770, 2777): what is made in it takes its group and its mode. One that only others may write
is read.

    sha256/<digest>     the bytes with this digest, read-only; a tree is the list of its files' digests, kept alike
    lock/<digest>       held while somebody fetches it
    rejected/<name>     bytes that were not what they should be, for a person to look at
"""

import atexit
import errno
import fcntl
import functools
import hashlib
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from ..errors import CacheError
from ..files import UnfitFileError, folder_like, open_regular, read_regular, share_like
from ..locks import lock_holder
from ..shortage import FULL, shortage_fix

BLOBS = "sha256"  # the folder that holds files by their digest, in the store and in a mirror laid out as it
MAX_STORED = 1 << 30  # bytes of a file: as many as a kernel's package or vmlinux may have, by its pin
CHUNK = 1 << 16
POLL = 0.1  # seconds between two looks at a lock: waiting for it in the kernel, nobody sees ^C
YEAR = 365 * 24 * 3600  # seconds
PATIENCE = 120  # seconds without a byte after which a build that has a lock is taken for one that hangs
INCOMING = ".incoming-"  # what the name of a file on its way in begins with
STALE = 86400  # seconds after which a killed build's temporary file is swept away
HEAD = 1024  # bytes kept at hand to tell what a wrong body is
_DENIED = (errno.EACCES, errno.EPERM, errno.EROFS)
_LISTED = re.compile(rb"([0-9a-f]{64})  ([^\0/]+)")  # a line of a tree's list


def cache_folder(environ: Mapping[str, str]) -> Path:
    """Returns the cache folder that an environment names: EBPF_CACHE, or scons-bpf below XDG_CACHE_HOME or ~/.cache.

    A relative XDG_CACHE_HOME is ignored, as the XDG Base Directory Specification asks. Raises CacheError without any.
    """
    if environ.get("EBPF_CACHE"):
        return Path(environ["EBPF_CACHE"]).absolute()
    if os.path.isabs(environ.get("XDG_CACHE_HOME", "")):
        return Path(environ["XDG_CACHE_HOME"], "scons-bpf")
    if environ.get("HOME"):
        return Path(environ["HOME"], ".cache", "scons-bpf").absolute()
    raise CacheError("there is no HOME to keep a cache in", fix="set EBPF_CACHE to a folder")


def sha256sums(digests: Mapping[str, str]) -> bytes:
    """Returns the lines that a tree's digest is taken of: `<sha256>  <name>`, by name, as sha256sum prints."""
    return "".join(f"{digests[name]}  {name}\n" for name in sorted(digests)).encode()


class Store:
    """A cache folder. `notice` receives a corrupt entry and a wait for another build."""

    def __init__(self, root: Path, notice: Callable[[str], None] = lambda text: None):
        self.root, self.notice = root, notice
        self.blobs = root / BLOBS

    def is_writable(self) -> bool:
        """Returns True if this user may keep files in it, or may make it."""
        there = next(path for path in (self.blobs, *self.blobs.parents) if os.path.exists(path))
        return os.access(there, os.W_OK | os.X_OK)

    def get(self, digest: str) -> Path | None:
        """Returns the file with this digest, hashed anew, or None. A corrupt one is set aside. Raises CacheError."""
        path = self.blobs / digest
        with _usable(self.root):
            try:
                with open_regular(path, MAX_STORED) as file:
                    got = hashlib.file_digest(file, "sha256").hexdigest()
            except FileNotFoundError:
                return None
            except OSError as error:
                if not isinstance(error, UnfitFileError) and error.errno != errno.ELOOP:
                    raise
                got = ""  # a pipe, a folder, gigabytes: as little the artifact as other bytes
            if got == digest:
                return path
            try:
                aside = self._aside(path, f"corrupt-{digest[:12]}")
            except FileNotFoundError:
                return None  # another build set it aside first
            except OSError as error:
                if error.errno not in _DENIED:
                    raise
                self.notice(f"the cache's copy of {digest[:12]}… is corrupt, and this user can't remove it")
                return None
        self.notice(f"the cache's copy of {digest[:12]}… was corrupt; it is set aside as {aside}")
        return None

    def tree(self, digest: str) -> dict[str, Path] | None:
        """Returns the files of a tree by name, each verified, or None if any is missing. Raises CacheError."""
        listed = self.listed(digest)
        if listed is None:
            return None
        found = {name: self.get(file) for name, file in listed.items()}
        present = {name: path for name, path in found.items() if path}
        return present if len(present) == len(found) else None

    def listed(self, digest: str) -> dict[str, str] | None:
        """Returns the digests of a tree's files by name, or None if its list is missing. Raises CacheError."""
        listing = self.get(digest)
        if listing is None:
            return None
        lines = read_regular(listing).splitlines()
        rows = [row for line in lines if (row := _LISTED.fullmatch(line))]
        if len(rows) < len(lines):
            return None  # another artifact's digest
        return {row[2].decode("utf-8", "replace"): row[1].decode() for row in rows}

    def add(self, data: bytes) -> Path:
        """Keeps these bytes, and returns their path. Raises CacheError."""
        with self.incoming() as incoming:
            incoming.write(data)
            return incoming.keep()

    @contextmanager
    def incoming(self) -> Iterator["Incoming"]:
        """Yields a file on its way in, gone at the end unless it was kept or rejected. Raises CacheError."""
        with _usable(self.root):
            self._folder(self.blobs.name)
            self._sweep()
            handle, name = tempfile.mkstemp(prefix=INCOMING, dir=self.blobs)
        incoming = Incoming(self, handle, Path(name))
        try:
            yield incoming
        finally:
            incoming.close()

    @contextmanager
    def lock(self, digest: str, what: str, check_interrupt: Callable[[], None] = lambda: None) -> Iterator[None]:
        """Lets one build at a time go on, so that the second finds what the first fetched. Raises CacheError.

        `check_interrupt` is called often while it waits: what it raises ends that. Where this user may make no lock, or
        one that has it does nothing, there is none: the rename is atomic, so the worst is to fetch twice.
        """
        with _usable(self.root):
            handle = self._lock_file(digest)
        if handle is None:
            yield
            return
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self._wait(handle, what, check_interrupt)
            except OSError:
                pass  # a file system without locks
            yield
        finally:
            os.close(handle)

    def _wait(self, handle: int, what: str, check_interrupt: Callable[[], None]) -> None:
        """Waits for a lock as long as bytes come into the store, or for PATIENCE seconds after that."""
        holder = lock_holder(handle)
        process = f" (process {holder})" if holder else ""
        self.notice(f"waiting for another build that is fetching {what}{process}")
        seen, since = self._arriving(), time.monotonic()
        while not _locked(handle):
            check_interrupt()
            time.sleep(POLL)
            if seen != (seen := self._arriving()):
                since = time.monotonic()
            elif time.monotonic() - since >= PATIENCE:
                self.notice(f"another build{process} has brought nothing for {PATIENCE} s; fetching {what} without it")
                break

    def _arriving(self) -> dict[str, int]:
        """Returns the sizes of the files that are on their way in."""
        sizes = {}
        for path in self.blobs.glob(f"{INCOMING}*"):
            with suppress(OSError):  # it has arrived meanwhile
                sizes[path.name] = path.stat().st_size
        return sizes

    def _folder(self, name: str) -> Path:
        self.root.mkdir(parents=True, exist_ok=True)
        return folder_like(self.root, name)

    def _lock_file(self, digest: str) -> int | None:
        """Opens a lock for reading, which is enough for flock(2): another user may have made it."""
        try:
            path = self._folder("lock") / digest
            try:
                # O_CREAT on a file of another user's fails in a sticky folder (sysctl fs.protected_regular).
                return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                handle = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
                share_like(handle, self.root, 0o666)
                return handle
        except OSError as error:
            if error.errno in _DENIED:
                return None
            raise

    def _aside(self, path: Path, name: str) -> Path:
        aside = self._folder("rejected") / name
        # A rename puts no folder in a file's place, no file in a folder's, and in a sticky folder none in another
        # user's.
        if path.is_dir() or aside.is_dir() or (aside.exists() and aside.lstat().st_uid != os.geteuid()):
            aside = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=aside.parent), name)
        os.replace(path, aside)
        return aside

    def _sweep(self) -> None:
        for path in self.blobs.glob(f"{INCOMING}*"):
            try:
                # A clock that is years ahead, as that of `reproduce`, makes nothing stale: a step may write it now.
                if STALE < time.time() - path.stat().st_mtime < YEAR:
                    path.unlink()
            except (FileNotFoundError, PermissionError):
                continue  # another build was faster, or it is another user's in a sticky folder


@functools.cache
def store_of_this_run() -> Store:
    """Returns a store that nobody else sees, gone with this process: for what is at hand and needs none of its own."""
    folder = tempfile.mkdtemp(prefix="ebpf-store-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Store(Path(folder))


class Incoming:
    """A temporary file in the store's own folder, hashed as it is written. Its methods raise CacheError.

    `head` holds its first bytes; whoever writes sets `cut` when there was more than was worth reading, and `etag` to
    what a server calls the bytes, if it does.
    """

    def __init__(self, store: Store, handle: int, path: Path):
        self.store, self.path = store, path
        self._file = os.fdopen(handle, "w+b")
        self.restart()

    def restart(self) -> None:
        """Forgets what was written: the next try begins at the first byte."""
        with _usable(self.store.root):
            self._file.seek(0)
            self._file.truncate()
        self._hash, self.size, self.head, self.cut, self.etag = hashlib.sha256(), 0, b"", False, ""

    def write(self, chunk: bytes) -> None:
        """Appends a piece of the body."""
        with _usable(self.store.root):
            self._file.write(chunk)
        self._hash.update(chunk)
        self.size += len(chunk)
        if len(self.head) < HEAD:
            self.head += chunk[: HEAD - len(self.head)]

    @property
    def sha256(self) -> str:
        """The digest of what was written so far."""
        return self._hash.hexdigest()

    def data(self) -> bytes:
        """Returns all that was written."""
        with _usable(self.store.root):
            self._file.seek(0)
            return self._file.read()

    def keep(self) -> Path:
        """Moves the file under its digest, read-only for good, and returns its path."""
        path = self.store.blobs / self.sha256
        with _usable(self.store.root):
            self._file.flush()
            share_like(self._file.fileno(), self.store.root, 0o444)
            try:
                os.replace(self.path, path)
            except PermissionError:  # in a sticky folder another user's entry stays; if it is good, it will do
                if self.store.get(self.sha256) is None:
                    raise
        return path

    def reject(self, name: str) -> Path:
        """Moves the file into the folder of rejected ones, for a person to look at, and returns its path."""
        with _usable(self.store.root):
            self._file.flush()
            share_like(self._file.fileno(), self.store.root, 0o444)
            return self.store._aside(self.path, f"{name}-{self.sha256[:12]}")

    def close(self) -> None:
        """Closes the file, and removes it unless it was kept or rejected."""
        try:
            self._file.close()
        except OSError:
            pass  # a full disk was reported by the write before
        self.path.unlink(missing_ok=True)


def _locked(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def _usable(root: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        fix = shortage_fix(error) or "make it writable"
        if error.errno in FULL or not shortage_fix(error):
            fix += " or set EBPF_CACHE to another folder"
        what = f"the cache folder can't be used: {error.strerror or error}"
        raise CacheError(what, where=str(root), fix=fix) from None
