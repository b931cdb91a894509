"""Finds the file in which a probe is to be placed, as this process sees it or as the probed one does."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

from ..files import open_file
from .binary import Binary, find_binary, is_library
from .functions import Ambiguous, Place, chosen_offset, find_functions
from .process import has_own_files, mapped_files, open_in_root, process_root

# Where a process in another root finds what is named without a slash, after what it has mapped.
LIBRARY_FOLDERS = ("/usr/lib64", "/lib64", "/usr/lib", "/lib", "/usr/local/lib")
PROGRAM_FOLDERS = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")


class ProbeFile(NamedTuple):
    """A file to be probed: the path by which the kernel opens it, which may be that of a descriptor, and its name."""

    path: str
    name: str

    def offsets(self, function: str) -> list[int]:
        """Returns the offsets of a function in the file; none where only libbpf may find it, or nobody does.

        A C++ name without arguments may have several; an indirect function's is that of its implementation.
        """
        if not function:
            return []
        try:
            with open_file(self.path) as file:
                binary = Binary(file)
                return [_offset(binary, each, function) for each in find_functions(binary, function)]
        except (OSError, ValueError, Ambiguous):
            return []


def _offset(binary: Binary, place: Place, function: str) -> int:
    """Returns the offset of a place. Raises ValueError for an indirect function that this process can't resolve."""
    offset = chosen_offset(binary, function) if place.indirect else place.offset
    if offset is None:
        raise ValueError("an indirect function")
    return offset


@contextmanager
def probe_file(binary: str, pid: int) -> Iterator[ProbeFile]:
    """Finds a binary by its path or name, and keeps it open for the `with` where it is another root's.

    With the id of a process that has its own root or mounts, as in a container, the path is one there, and a name is
    looked for among the files that the process has mapped. A path below /proc is this process's in any case. Raises
    OSError: PermissionError where this process may not look at that one's files, FileNotFoundError.
    """
    if pid > 0 and not binary.startswith("/proc/") and _has_own_files(pid):
        with process_root(pid) as root:
            fd, path = _open_there(root, binary, pid)
            try:
                yield ProbeFile(f"/proc/self/fd/{fd}", f"{path} of process {pid}")
            finally:
                os.close(fd)
        return
    path = find_binary(binary)
    yield ProbeFile(path or binary, path or binary)


def _has_own_files(pid: int) -> bool:
    """Returns False for a process that isn't there, too: the kernel says so better."""
    try:
        return has_own_files(pid)
    except (FileNotFoundError, ProcessLookupError):
        return False


def _open_there(root: int, binary: str, pid: int) -> tuple[int, str]:
    """Opens a binary below a process's root. Returns its descriptor and its path there. Raises OSError."""
    if "/" in binary:
        path = os.path.abspath(binary)
        return open_in_root(root, path), path
    folders = LIBRARY_FOLDERS if is_library(binary) else PROGRAM_FOLDERS
    mapped = [path for path in mapped_files(pid) if os.path.basename(path) == binary]
    for path in (*mapped, *(f"{folder}/{binary}" for folder in folders)):
        with suppress(OSError):
            return open_in_root(root, path), path
    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), binary)
