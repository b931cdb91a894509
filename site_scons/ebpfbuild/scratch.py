"""Makes files and folders that a step needs for a moment, and removes those of processes that ended before they could.

Each is locked, with flock(2), by the process that made it: the lock ends with that process, however it ends, also in
another container. Before a process makes its first one in a folder it removes what lies there and nobody holds.
"""

import contextlib
import fcntl
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

PREFIX = ".ebpf-tmp-"
STALE = 86400  # seconds after which something goes that lies on a file system without locks
YEAR = 365 * 24 * 3600  # seconds; what seems older is none: a clock is wrong, or moved by `reproduce`

_swept: set[str] = set()


@contextlib.contextmanager
def scratch_folder(parent: str | os.PathLike[str]) -> Iterator[str]:
    """Makes a folder in `parent`, gone with all that is in it at the end. Raises OSError."""
    place, handle = _made(parent, lambda: _made_folder(parent))
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)
        os.close(handle)


@contextlib.contextmanager
def scratch_file(parent: str | os.PathLike[str]) -> Iterator[tuple[str, int]]:
    """Makes an empty file in `parent`, and gives its path and a handle to write by, which stays open until the end.

    The file is gone then unless somebody has moved it away. Raises OSError.
    """
    place, handle = _made(parent, lambda: _made_file(parent))
    try:
        yield place, handle
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(place)
        os.close(handle)


def _made_folder(parent: str | os.PathLike[str]) -> tuple[str, int]:
    while True:
        name = tempfile.mkdtemp(prefix=PREFIX, dir=parent)
        with contextlib.suppress(FileNotFoundError):  # a sweep came before it was open, of another thread or process
            return name, os.open(name, os.O_RDONLY | os.O_CLOEXEC)


def _made_file(parent: str | os.PathLike[str]) -> tuple[str, int]:
    handle, name = tempfile.mkstemp(prefix=PREFIX, dir=parent)
    return name, handle


def _made(parent: str | os.PathLike[str], make: Callable[[], tuple[str, int]]) -> tuple[str, int]:
    """Returns the path and the open handle that `make` gives, once that is locked."""
    _sweep(os.fspath(parent))
    while True:
        place, handle = make()
        if _is_locked_by(handle) is not False and _is_at(place, handle):
            return place, handle
        os.close(handle)  # a sweep came before the lock, and removes it


def _sweep(parent: str) -> None:
    """Removes what dead processes left in a folder, once a run."""
    if parent in _swept:
        return
    _swept.add(parent)
    with contextlib.suppress(OSError):
        for name in os.listdir(parent):
            if name.startswith(PREFIX):
                with contextlib.suppress(OSError):  # another user's, or gone meanwhile
                    _remove_dead(Path(parent, name))


def _remove_dead(path: Path) -> None:
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) and not stat.S_ISREG(found.st_mode):
        return
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        locked = _is_locked_by(handle)
        if locked is None:
            locked = STALE < time.time() - found.st_mtime < YEAR
        if locked and stat.S_ISDIR(found.st_mode):
            shutil.rmtree(path, ignore_errors=True)
        elif locked:
            path.unlink()
    finally:
        os.close(handle)


def _is_locked_by(handle: int) -> bool | None:
    """Locks an open file or folder; False where another holds it, None where the file system has no locks."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _is_at(path: str, handle: int) -> bool:
    try:
        return os.path.samestat(os.lstat(path), os.fstat(handle))
    except FileNotFoundError:
        return False
