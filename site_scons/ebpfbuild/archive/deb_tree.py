"""Reads all that a .deb installs: files, symlinks and folders, with their modes; nothing is unpacked to disk."""

from collections.abc import Callable, Iterator
from typing import BinaryIO, NamedTuple, cast

from ..errors import ArchiveError
from .members import AR_MAGIC, MALFORMED, Tar, deb_data
from .unpack import Unpacked, format_at

MAX_TREE_SIZE = 4 << 30  # bytes of a package's files, unpacked: a kernel's modules have some 500 MB


class TreeEntry(NamedTuple):
    """A file (`data`) or a symlink (`target`), by its path below the root; `mode` are its permission bits."""

    path: str
    mode: int
    data: bytes = b""
    target: str = ""


def deb_entries(data: bytes, wanted: Callable[[str], bool] = lambda path: True, where: str = "") -> Iterator[TreeEntry]:
    """Yields the files and symlinks of a .deb whose paths are `wanted`.

    Raises ArchiveError for a damaged package, and for one with paths that point out of it.
    """
    try:
        yield from _entries(data, wanted)
    except ArchiveError as error:
        raise ArchiveError(error.what, where=where, fix=error.fix) from None
    except MALFORMED as error:
        raise ArchiveError(f"is no archive that can be read: {error}", where=where) from None


def _entries(data: bytes, wanted: Callable[[str], bool]) -> Iterator[TreeEntry]:
    if bytes(data[: len(AR_MAGIC)]) != AR_MAGIC:
        raise ArchiveError("is no Debian package")
    packed = deb_data(data)
    stream = Unpacked(packed, format_at(packed), limit=MAX_TREE_SIZE)
    with Tar.open(fileobj=cast(BinaryIO, stream), mode="r|") as tar:
        for member in tar:
            path = member.name.removeprefix("./")
            if path.startswith("/") or ".." in path.split("/"):
                raise ArchiveError(f"holds {path!r}, which points outside of it")
            if member.isdir() or not wanted(path):
                continue
            if member.issym():
                yield TreeEntry(path, 0o777, target=member.linkname)
            elif member.isreg():
                file = tar.extractfile(member)
                yield TreeEntry(path, member.mode & 0o777, file.read() if file else b"")
            else:
                raise ArchiveError(f"holds {path} as a hard link or device, not as a file or symlink")
