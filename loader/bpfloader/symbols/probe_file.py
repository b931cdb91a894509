"""Finds the file in which a probe is to be placed, as this process sees it or as the probed one does."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import NamedTuple

from ..files import open_file
from .binary import Binary, find_binary, is_library
from .debug_files import debug_file, mini_debug_info
from .functions import Ambiguous, Place, chosen_offset, find_functions
from .process import O_PATH, has_own_files, live_thread, mapped_files, open_in_root, path_in_root, process_root
from .regions import DELETED, Region, regions_of

# Where a process in another root finds what is named without a slash, after what it has mapped.
LIBRARY_FOLDERS = ("/usr/lib64", "/lib64", "/usr/lib", "/lib", "/usr/local/lib")
PROGRAM_FOLDERS = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")


class ProbeFile(NamedTuple):
    """A file to be probed: the path by which the kernel opens it, which may be that of a descriptor, and its name."""

    path: str
    name: str

    def offsets(self, function: str) -> list[int]:
        """Returns the offsets of a function in the file; none where only libbpf may find it, or nobody does.

        A C++ name without arguments may have several; an indirect function's is that of its implementation. What a
        stripped file doesn't name, its debug file may.
        """
        if not function:
            return []
        try:
            with open_file(self.path) as file, ExitStack() as stack:
                binary = Binary(file)
                found = find_functions(binary, function)
                if not found and (other := self._debug_file(binary, stack)):
                    found = [place for place in find_functions(other, function) if not place.indirect]
                return [_offset(binary, each, function) for each in found]
        except (OSError, ValueError, Ambiguous):
            return []

    def _debug_file(self, binary: Binary, stack: ExitStack) -> Binary | None:
        """Returns the debug file of a stripped binary, by this machine's folders, or what is kept within it."""
        if binary.has_whole_table():
            return None
        folder = os.path.dirname(os.path.realpath(self.path))
        found = debug_file(binary, folder, (open_file,), stack) or mini_debug_info(binary)
        if found:
            found.debugs = binary
        return found

    def is_go(self) -> bool:
        """Returns True for a program of Go: its linker writes what it was built of, also into a stripped file."""
        try:
            with open_file(self.path) as file:
                return bool(Binary(file).section_named(".go.buildinfo"))
        except (OSError, ValueError):
            return False


def _offset(binary: Binary, place: Place, function: str) -> int:
    """Returns the offset of a place. Raises ValueError for an indirect function that this process can't resolve."""
    offset = chosen_offset(binary, function) if place.indirect else place.offset
    if offset is None:
        raise ValueError("an indirect function")
    return offset


@contextmanager
def probe_file(binary: str, pid: int) -> Iterator[ProbeFile]:
    """Finds a binary by its path or name, and keeps it open for the `with` where it is a process's own.

    With the id of a process, a name is looked for among the files that it has mapped, as a library of its own folder,
    before it is looked for here. Of one that has its own root or mounts, as in a container, a path is one there. A file
    that the process still runs though it was deleted or replaced is that one, and not what is at its path now. A path
    below /proc is this process's in any case. Raises OSError: PermissionError where this process may not look at that
    one's files, FileNotFoundError.
    """
    path = find_binary(binary) or binary
    if pid > 0 and not binary.startswith("/proc/"):
        if opened := _open_own(binary, path, pid):
            fd, name = opened
            try:
                yield ProbeFile(f"/proc/self/fd/{fd}", f"{name} of process {pid}")
            finally:
                os.close(fd)
            return
        path = _mapped_path(binary, path, pid)
    yield ProbeFile(path, path)


def _mapped_path(binary: str, path: str, pid: int) -> str:
    """Returns where a process of our own root has mapped what is named without a slash; `path` for what it hasn't."""
    if "/" in binary:
        return path
    with suppress(OSError):
        mapped = [each for each in mapped_files(pid) if os.path.basename(each) == binary]
        if mapped and os.path.realpath(path) not in mapped:
            return mapped[0]
    return path


def _open_own(binary: str, path: str, pid: int) -> tuple[int, str] | None:
    """Opens a binary that is another file to a process than `path` is here; None where it is the same. Raises OSError.

    Returns its descriptor and its path there.
    """
    if old := _unlinked(pid, path if "/" in binary else binary):
        place = f"/proc/{live_thread(pid)}/map_files/{old.start:x}-{old.end:x}"
        return os.open(place, O_PATH | os.O_CLOEXEC), old.path
    if not _has_own_files(pid):
        return None
    with process_root(pid) as root:
        return _open_there(root, binary, pid)


def _unlinked(pid: int, name: str) -> Region | None:
    """Returns where a process has mapped a file of a path or name that was deleted or replaced since; None for none."""
    names = {os.path.abspath(name), os.path.realpath(name)} if "/" in name else {name}
    gone = None
    for region in _mapped_regions(pid):
        path = path_in_root(pid, region.path)
        plain = path.removesuffix(DELETED)
        if (plain if "/" in name else os.path.basename(plain)) in names:
            if plain == path:  # it has mapped what is there, too
                return None
            gone = gone or region
    return gone


def has_mapped(pid: int, path: str) -> bool:
    """Returns True if a process has mapped the file at a path, or if that can't be seen."""
    regions, root = _mapped_regions(pid), f"/proc/{live_thread(pid)}/root"
    try:
        wanted = os.stat(path)
    except OSError:
        return True
    for each in {region.path: region for region in regions}.values():
        if each.path.endswith(DELETED) and each.file[1] == wanted.st_ino:
            return True
        with suppress(OSError):
            if os.path.samestat(os.stat(root + path_in_root(pid, each.path)), wanted):
                return True
    return not regions  # of a process that has ended, or is hidden


def _mapped_regions(pid: int) -> list[Region]:
    return [region for region in regions_of(pid) if region.path.startswith("/")]


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
