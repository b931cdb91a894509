"""Writes an initramfs as the kernel reads it: cpio's "newc" format, the same bytes for the same files.

Source: the kernel's Documentation/driver-api/early-userspace/buffer-format.rst.
"""

import posixpath
import stat
from collections.abc import Iterator, Mapping
from typing import NamedTuple

TRAILER = "TRAILER!!!"
MODE_OF = {"file": stat.S_IFREG, "link": stat.S_IFLNK, "folder": stat.S_IFDIR, "device": stat.S_IFCHR}


class File(NamedTuple):
    """A file of the initramfs: its bytes and permission bits."""

    data: bytes
    mode: int = 0o644


class Symlink(NamedTuple):
    """A symlink of the initramfs."""

    target: str


class Device(NamedTuple):
    """A character device, such as /dev/console, which the kernel opens for /init before anything is mounted."""

    major: int
    minor: int
    mode: int = 0o600


Tree = Mapping[str, File | Symlink | Device]  # by path from the root, without a leading /


def cpio(tree: Tree) -> bytes:
    """Returns the archive of a tree, with the folders that its paths need: all root's, of the epoch, sorted by path.

    Several archives, one behind the other, are one initramfs: a later file replaces an earlier one of its path.
    """
    parts = [_member(number, path, tree.get(path)) for number, path in enumerate(_paths(tree), 1)]
    return b"".join([*parts, _header(0, TRAILER, 0, 0, 1, 0, 0)])


def _paths(tree: Tree) -> list[str]:
    """Returns the paths of a tree and of all folders above them; a folder comes before what is in it."""
    found = set(tree)
    for path in tree:
        found.update(_parents(path))
    return sorted(found, key=lambda path: path.split("/"))


def _parents(path: str) -> Iterator[str]:
    while path := posixpath.dirname(path):
        yield path


def _member(number: int, path: str, entry: File | Symlink | Device | None) -> bytes:
    if isinstance(entry, File):
        return _header(number, path, MODE_OF["file"] | entry.mode, len(entry.data)) + _padded(entry.data)
    if isinstance(entry, Symlink):
        target = entry.target.encode()
        return _header(number, path, MODE_OF["link"] | 0o777, len(target)) + _padded(target)
    if isinstance(entry, Device):
        return _header(number, path, MODE_OF["device"] | entry.mode, 0, 1, entry.major, entry.minor)
    return _header(number, path, MODE_OF["folder"] | 0o755, 0, 2)


def _header(number: int, path: str, mode: int, size: int, links: int = 1, major: int = 0, minor: int = 0) -> bytes:
    name = path.encode() + b"\0"
    fields = (number, mode, 0, 0, links, 0, size, 0, 0, major, minor, len(name), 0)
    return _padded(b"070701" + b"".join(b"%08X" % field for field in fields) + name)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
