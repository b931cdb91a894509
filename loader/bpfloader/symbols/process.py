"""Opens files as a process sees them: below /proc/<pid>/root, where a container has its own.

A path there belongs to that process: its symlinks are resolved within its root, and what they lead to is looked at
before it is opened for reading, by descriptor.
"""

from __future__ import annotations

import ctypes
import errno
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

O_PATH = getattr(os, "O_PATH", 0o10000000)  # asm-generic/fcntl.h; on every arch that the loader knows
OPENAT2, RESOLVE_IN_ROOT = 437, 0x10  # asm-generic/unistd.h, which each of those arches has; linux/openat2.h
NO_OPENAT2 = (errno.ENOSYS, errno.EPERM, errno.EINVAL)  # before Linux 5.6, or a seccomp filter that denies it
MAX_LINKS = 40  # MAXSYMLINKS of linux/namei.h
MAX_MAPS = 16 << 20  # bytes of /proc/<pid>/maps: 65530 mappings by default (vm.max_map_count)

_libc = ctypes.CDLL(None, use_errno=True)


def shows_our_processes() -> bool:
    """Returns False where /proc is of another PID namespace than this process's (`unshare --pid` without a new /proc).

    The kernel takes ids as this process's namespace counts them, and there they are those of other processes.
    """
    try:
        return os.readlink("/proc/self") == str(os.getpid())
    except OSError:
        return True  # without a /proc nothing is mistaken for another


def live_thread(pid: int) -> int:
    """Returns the id of a thread that shows a process's files: the pid or, where the first thread has ended, another.

    As long as others run, a process whose main thread has ended (pthread_exit) is there: under its pid the kernel shows
    neither maps nor root nor namespaces, and takes no probe.
    """
    for task in _threads(pid):
        try:
            os.readlink(f"/proc/{task}/root")
        except FileNotFoundError:
            continue
        except OSError:  # hidden from this user, as all of its threads are
            break
        return task
    return pid


def _threads(pid: int) -> Iterator[int]:
    """Yields the ids of a process's threads, the first one's, which is the pid, before the others."""
    yield pid
    try:
        others = sorted(map(int, os.listdir(f"/proc/{pid}/task")))
    except OSError:
        return
    yield from (task for task in others if task != pid)


def has_own_files(pid: int) -> bool:
    """Returns True if a process has another root or mount namespace than this thread. Raises OSError."""
    mine, other = "/proc/thread-self", f"/proc/{live_thread(pid)}"
    if os.readlink(f"{mine}/ns/mnt") != os.readlink(f"{other}/ns/mnt"):
        return True
    return not os.path.samestat(os.stat(f"{mine}/root"), os.stat(f"{other}/root"))


@contextmanager
def process_root(pid: int) -> Iterator[int]:
    """Opens a process's root folder for the `with`. Raises OSError."""
    fd = os.open(f"/proc/{live_thread(pid)}/root", O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)


def open_in_root(root: int, path: str) -> int:
    """Returns a descriptor (O_PATH) of a path below a root, which no symlink and no `..` leaves. Raises OSError."""
    try:
        return _openat2(root, path)
    except OSError as error:
        if error.errno not in NO_OPENAT2:
            raise
    return _walk(root, path)


def read_descriptor(fd: int) -> BinaryIO:
    """Opens for reading what an O_PATH descriptor leads to. Raises ValueError unless it is a regular file; OSError."""
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        raise ValueError("is a folder, a device or a pipe, not a file")
    return os.fdopen(os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC), "rb")


def mapped_files(pid: int) -> list[str]:
    """Returns the paths of the files that a process has mapped, each as in its root. Raises OSError."""
    with open(f"/proc/{live_thread(pid)}/maps", "rb") as file:
        text = file.read(MAX_MAPS).decode("utf-8", "surrogateescape")
    return [path_in_root(pid, path) for path in dict.fromkeys(re.findall(r" (/[^\n]*)$", text, re.MULTILINE))]


def path_in_root(pid: int, path: str) -> str:
    """Returns a path of /proc/<pid>/maps as the process sees it: of a root below ours, maps shows all of the path."""
    root = os.readlink(f"/proc/{live_thread(pid)}/root")
    return path[len(root) :] if root != "/" and path.startswith(f"{root}/") else path


def _openat2(root: int, path: str) -> int:
    how = (ctypes.c_uint64 * 3)(O_PATH | os.O_CLOEXEC, 0, RESOLVE_IN_ROOT)  # struct open_how: flags, mode, resolve
    arguments = map(ctypes.c_long, (OPENAT2, root))
    name = ctypes.c_char_p(os.fsencode(path))
    fd: int = _libc.syscall(*arguments, name, ctypes.byref(how), ctypes.c_long(ctypes.sizeof(how)))
    if fd < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), path)
    return fd


def _walk(root: int, path: str) -> int:
    """Does what openat2 does, a component at a time: each is opened without following it, and links are read."""
    folders, links = [os.dup(root)], 0
    names = path.split("/")[::-1]
    try:
        while names:
            name = names.pop()
            if name in ("", "."):
                continue
            if name == "..":
                if len(folders) > 1:
                    os.close(folders.pop())
                continue
            folders.append(os.open(name, O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folders[-1]))
            if not stat.S_ISLNK(os.fstat(folders[-1]).st_mode):
                continue
            links += 1
            if links > MAX_LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
            target = os.readlink("", dir_fd=folders[-1])
            os.close(folders.pop())
            if target.startswith("/"):
                while len(folders) > 1:
                    os.close(folders.pop())
            names += target.split("/")[::-1]
        return folders.pop()
    finally:
        for fd in folders:
            os.close(fd)
