"""Reads the members of wheels, zips, tars and `ar` archives, with all that an archive says of them."""

import io
import re
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

MAX_ENTRIES = 100_000
MAX_EXPANDED = 1 << 30  # bytes of all members: whoever made the other archive may be anybody


class ArchiveEntry(NamedTuple):
    """A member: its bytes, and what the archive says of it."""

    data: bytes
    facts: dict[str, Any]


def members(data: bytes) -> dict[str, ArchiveEntry] | None:
    """Returns an archive's members by name, in its order; None for what is no archive that can be read."""
    readers: list[Callable[[bytes], dict[str, ArchiveEntry]]] = []
    if data.startswith(b"PK\3\4"):
        readers = [_zip]
    elif data.startswith(b"!<arch>\n"):
        readers = [_ar]
    elif data[257:262] == b"ustar" or data.startswith((b"\x1f\x8b", b"\xfd7zXZ", b"BZh")):
        readers = [_tar]
    for read in readers:
        try:
            return read(data)
        except (OSError, EOFError, ValueError, zipfile.BadZipFile, tarfile.TarError, zlib.error, NotImplementedError):
            return None
    return None


def _zip(data: bytes) -> dict[str, ArchiveEntry]:
    found: dict[str, ArchiveEntry] = {}
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = archive.infolist()
        _bounded(len(entries), sum(entry.file_size for entry in entries))
        for entry in entries:
            facts = {"date": entry.date_time, "mode": oct(entry.external_attr >> 16), "method": entry.compress_type}
            facts |= {"extra": entry.extra.hex(), "comment": entry.comment.hex(), "made on": entry.create_system}
            found[_unused(entry.filename, found)] = ArchiveEntry(archive.read(entry), facts)
    return found


def _tar(data: bytes) -> dict[str, ArchiveEntry]:
    found: dict[str, ArchiveEntry] = {}
    total = 0
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for entry in archive:
            total += entry.size
            _bounded(len(found), total)
            file = archive.extractfile(entry) if entry.isreg() else None
            facts = {"time": entry.mtime, "mode": oct(entry.mode), "owner": f"{entry.uid}:{entry.gid}"}
            facts |= {"names": f"{entry.uname}:{entry.gname}", "kind": entry.type.decode(), "link": entry.linkname}
            found[_unused(entry.name, found)] = ArchiveEntry(file.read() if file else b"", facts)
    return found


def _ar(data: bytes) -> dict[str, ArchiveEntry]:
    """Reads an archive as `ar` and Debian's packages have it. Source: ar(5)."""
    found: dict[str, ArchiveEntry] = {}
    at = 8
    while at + 60 <= len(data):
        header = data[at : at + 60].decode("ascii", "replace")
        if not re.fullmatch(r"[0-9]+ *", header[48:58]):
            raise ValueError("no size")
        name, time, owner, mode, size = header[:16], header[16:28], header[28:40], header[40:48], int(header[48:58])
        _bounded(len(found), 0)
        facts = {"time": time.strip(), "owner": " ".join(owner.split()), "mode": mode.strip()}
        found[_unused(name.strip().rstrip("/"), found)] = ArchiveEntry(data[at + 60 : at + 60 + size], facts)
        at += 60 + size + size % 2
    return found


def _bounded(count: int, size: int) -> None:
    """Raises ValueError for an archive that holds more than is read."""
    if count > MAX_ENTRIES or size > MAX_EXPANDED:
        raise ValueError("too large")


def _unused(name: str, found: dict[str, ArchiveEntry]) -> str:
    """Returns a member's name, with a number behind it where the archive has that name already."""
    number = 2
    unused = name
    while unused in found:
        unused, number = f"{name} ({number})", number + 1
    return unused
