"""A folder of pins: its lock, which one process at a time holds as it starts, and pins that are swapped whole."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
from collections.abc import Iterator

from ..errors import AttachError, PrivilegeError, errno_text
from ..libbpf.c_text import c_path
from ..libbpf.pin import pin_to

NEW = "~new"  # ends a pin's name until it takes the place of another; of a killed process such a pin stays
PATIENCE, PAUSE = 30.0, 0.01  # seconds: for a start of another process, and between two looks
TRIES = 20  # to make a folder that others remove


@contextlib.contextmanager
def locked(folder: str) -> Iterator[None]:
    """Makes a folder of a BPF file system, and holds its lock for the `with`.

    The lock (flock) ends with the process. Raises AttachError where the folder can't be, or another process holds the
    lock for half a minute; PrivilegeError, ValueError.
    """
    c_path(folder)
    fd = _lock(folder)
    try:
        for name in os.listdir(folder):
            if name.endswith(NEW):  # left by a process that was killed as it swapped pins
                os.unlink(os.path.join(folder, name))
        yield
    except FileNotFoundError as error:
        what = f"{folder} was removed while pins were kept in it ({errno_text(error.errno or 0)})"
        raise AttachError(what, fix="start again", errno=error.errno or 0) from None
    finally:
        os.close(fd)


def _lock(folder: str) -> int:
    """Opens and locks the folder that the path names now: another process may remove it while this one waits."""
    end = time.monotonic() + PATIENCE
    while True:
        fd = _opened(folder)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.stat(folder), os.fstat(fd)):
                    return fd
        except BlockingIOError:
            if time.monotonic() > end:
                os.close(fd)
                what = f"another process has the lock of {folder} for {PATIENCE:.0f} s"
                raise AttachError(what, fix="end it, or wait: /proc/locks has its pid", errno=errno.EAGAIN) from None
            time.sleep(PAUSE)
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)


def _opened(folder: str) -> int:
    """Makes and opens a folder, again where another process removes it meanwhile (`rm -r`)."""
    for left in reversed(range(TRIES)):
        try:
            require_bpf_file_system(folder)
            os.makedirs(folder, 0o700, exist_ok=True)
            return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            if not left or os.path.lexists(folder) or not isinstance(error, (FileNotFoundError, FileExistsError)):
                raise _no_folder(folder, error) from None
            time.sleep(PAUSE)
    raise AssertionError


def _no_folder(folder: str, error: OSError) -> AttachError | PrivilegeError:
    number = error.errno or 0
    what = f"can't keep pins in {folder} ({errno_text(number)})"
    if isinstance(error, (FileExistsError, NotADirectoryError)):
        return AttachError(what, fix="something is pinned there: give a folder", errno=number)
    if number == errno.EACCES:
        return PrivilegeError(what, fix="run as root, or as the folder's owner", errno=number)
    return AttachError(what, fix="give a folder of a BPF file system; no name there may hold a dot", errno=number)


def require_bpf_file_system(path: str) -> None:
    """Raises AttachError for a path that lies in no BPF file system; FileNotFoundError, PermissionError."""
    place = os.path.abspath(path)
    while not os.path.lexists(place):
        place = os.path.dirname(place)
    device = os.stat(place).st_dev
    with contextlib.suppress(OSError), open("/proc/thread-self/mountinfo", encoding="utf-8", errors="replace") as file:
        rows = [line.partition(" - ") for line in file]
        kinds = {left.split()[2]: right.split()[0] for left, _, right in rows}
        # In a chroot whose `/` is no mount, the device of `/` has no row.
        if kinds.get(f"{os.major(device)}:{os.minor(device)}") != "bpf":
            fix = "mount one: mount -t bpf bpf /sys/fs/bpf; then give a path below it"
            raise AttachError(f"{path} is in no BPF file system", fix=fix)


def swap_pin(fd: int, path: str, what: str) -> None:
    """Pins a descriptor's object in the place of what is pinned at a path, in one step. Raises as pin_to does, OSError.

    What was pinned there ends with that, unless another pin or descriptor keeps it.
    """
    pin_to(fd, path + NEW, what)
    os.rename(path + NEW, path)  # simple_rename of the kernel's fs/libfs.c replaces the old pin
