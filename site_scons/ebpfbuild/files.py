"""Reads a file only where it is a regular one, and writes it so that nobody ever sees half of it."""

import os
import stat
from collections.abc import Iterator
from errno import EINVAL, EISDIR, ELOOP, ENOENT, ENOTDIR
from io import FileIO
from pathlib import Path

from .errors import OutputError
from .scratch import scratch_file

MAX_FILE_SIZE = 64 << 20  # bytes of any file that is read whole: the largest, a distribution's vmlinux.h, has 4 MB

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class UnfitFileError(OSError):
    """A file that must not be read: a named pipe, a device, a folder, one that is too large.

    A pipe would hold the build up for ever and /dev/zero fill the memory. `strerror` says what it is.
    """


def require_regular(path: str | os.PathLike[str], limit: int | None = MAX_FILE_SIZE) -> None:
    """Raises UnfitFileError for what is there and is no regular file of at most `limit` bytes; OSError if nothing is.

    None is no limit, for a tool that is run or hashed and not held in memory.
    """
    try:
        found = os.stat(path)
    except OSError as error:
        if error.errno == ELOOP:
            raise symlink_loop(os.fspath(path)) from None
        raise
    _check(found, path, limit)


def is_gone(path: str | os.PathLike[str]) -> bool:
    """Returns True if nothing is at a path, not even a link; a folder's symlink in a circle hides what is there."""
    try:
        os.lstat(path)
    except OSError as error:
        return error.errno in (ENOENT, ENOTDIR)
    return False


def open_regular(path: str | os.PathLike[str], limit: int | None = MAX_FILE_SIZE) -> FileIO:
    """Opens a regular file of at most `limit` bytes for reading, unbuffered, and never waits for it.

    Raises UnfitFileError, and OSError for what can't be opened.
    """
    return os.fdopen(_opened(path, limit), "rb", buffering=0)


def _opened(path: str | os.PathLike[str], limit: int | None) -> int:
    """Opens a file as open_regular does, and returns its descriptor.

    It is looked at before it is opened, since to open a device may do something, and again after, since it may have
    been replaced.
    """
    require_regular(path, limit)
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        _check(os.fstat(handle), path, limit)
    except BaseException:
        os.close(handle)
        raise
    return handle


def read_regular(path: str | os.PathLike[str], limit: int = MAX_FILE_SIZE) -> bytes:
    """Returns the bytes of a regular file, at most `limit` of them.

    Raises UnfitFileError for anything else, and OSError.
    """
    parts, left = [], limit
    handle = _opened(path, limit)
    try:
        while part := os.read(handle, min(left + 1, 1 << 20)):
            parts.append(part)
            left -= len(part)
            if left < 0:  # it grew, or is one of /proc's, whose sizes are all 0
                raise _too_large(path, limit)
    finally:
        os.close(handle)
    return b"".join(parts)


def _check(found: os.stat_result, path: str | os.PathLike[str], limit: int | None) -> None:
    if not stat.S_ISREG(found.st_mode):
        kind = stat.S_IFMT(found.st_mode)
        number = EISDIR if kind == stat.S_IFDIR else EINVAL
        raise UnfitFileError(number, f"is {_KINDS.get(kind, 'something else')}, not a file", os.fspath(path))
    if limit is not None and found.st_size > limit:
        raise _too_large(path, limit)


def symlink_loop(path: str) -> UnfitFileError:
    """Makes the error for a path on which the kernel gave up following symlinks (ELOOP).

    It names the first symlink that is at fault.
    """
    parts = path.split(os.sep)
    ways = (os.sep.join(parts[:count]) or os.sep for count in range(1, len(parts) + 1))
    link = next((way for way in ways if _loops(way)), path)
    through = "" if link == path else f"lies behind {os.path.basename(link)}, which "
    return UnfitFileError(
        ELOOP, f"{through}is a symlink that leads back to itself, or on through too many others", path
    )


def _loops(path: str) -> bool:
    try:
        os.stat(path)
    except OSError as error:
        return error.errno == ELOOP
    return False


def _too_large(path: str | os.PathLike[str], limit: int) -> UnfitFileError:
    return UnfitFileError(EINVAL, f"is larger than the {limit} bytes that are read", os.fspath(path))


def walk(folder: str | os.PathLike[str]) -> Iterator[tuple[str, list[str], list[str]]]:
    """Yields what os.walk does, without folders of bytecode; of none if there is no such folder.

    Raises OSError for a folder that can't be read, of which os.walk yields nothing.
    """

    def failed(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            raise error

    for parent, folders, names in os.walk(folder, onerror=failed):
        folders[:] = [name for name in folders if name != "__pycache__"]
        yield parent, folders, names


def make_room(path: str | os.PathLike[str]) -> None:
    """Removes what lies where a file is to be written: a file, a link, a pipe, an empty folder; nothing is fine, too.

    Raises OutputError for a folder with something in it, which nobody but its owner may remove, and OSError.
    """
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
    except OSError as error:  # EISDIR on Linux, EPERM by POSIX
        if os.path.islink(path) or not os.path.isdir(path):
            raise
        try:
            os.rmdir(path)
        except OSError:
            fix = "move it away, or remove it"
            raise OutputError("is a folder, and the build writes a file there", where=str(path), fix=fix) from error


def folder_like(parent: Path, name: str) -> Path:
    """Makes a folder in `parent` that the same users may read and write, whatever the umask.

    So a store of several users (2770, 2777) stays theirs. A folder that is there stays as it is. Raises OSError.
    """
    path = parent / name
    try:
        path.mkdir()
    except FileExistsError:
        return path
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        share_like(handle, parent, 0o7777)
    finally:
        os.close(handle)
    return path


def share_like(handle: int, folder: Path, most: int) -> None:
    """Gives an open file or folder the group of `folder` and, of its mode, the bits in `most`. Raises OSError.

    Where this user can't give the group, the group gets no rights. The owner may always read.
    """
    wanted, mode = os.stat(folder), os.fstat(handle)
    rights = stat.S_IMODE(wanted.st_mode) & most | stat.S_IRUSR
    if mode.st_gid != wanted.st_gid:
        try:
            os.fchown(handle, -1, wanted.st_gid)
        except OSError:
            rights &= ~(stat.S_IRWXG | stat.S_ISGID)
    os.fchmod(handle, rights)


def write_whole(handle: int, data: bytes) -> None:
    """Writes all bytes by an open handle: one call may take fewer. Raises OSError."""
    left = memoryview(data)
    while left:
        left = left[os.write(handle, left) :]


def write_file(path: str | os.PathLike[str], data: bytes) -> None:
    """Writes a file whole or not at all, readable by all whatever the umask.

    Raises OSError, and OutputError as make_room.
    """
    folder = os.path.dirname(path) or os.curdir
    if not os.path.isdir(folder):
        Path(folder).mkdir(parents=True, exist_ok=True)
    try:
        with scratch_file(folder) as (name, handle):
            write_whole(handle, data)
            os.fchmod(handle, 0o644)
            os.close(os.dup(handle))  # on NFS a full disk may show as late as here
            try:
                os.replace(name, path)
            except IsADirectoryError:
                make_room(path)
                os.replace(name, path)
    except OSError as error:
        error.filename = error.filename or str(path)  # a write names no file
        raise
