"""Reads the files of an .rpm: a lead, two headers, and a compressed cpio archive.

Formats: rpm's docs/manual/format_v4.md, and the kernel's Documentation/driver-api/early-userspace/buffer-format.rst for
cpio. Of the headers only their lengths are read: the payload tells its compression by its first bytes.
"""

import struct
from collections.abc import Iterator

from ..errors import ArchiveError
from .unpack import Unpacked, format_at

RPM_MAGIC = b"\xed\xab\xee\xdb"
LEAD = 96
HEADER_MAGIC = b"\x8e\xad\xe8\x01"
CPIO_MAGICS = (b"070701", b"070702")  # newc, without and with a sum
CPIO_STRIPPED = b"07070X"  # of an rpm with a file of 4 GiB or more: names and sizes stand in the rpm's header
CPIO_HEADER = 110  # the magic, and 13 numbers of 8 hex digits
MAX_NAME = 4096
S_IFMT, S_IFREG = 0o170000, 0o100000


def rpm_payload(data: bytes, limit: int) -> Unpacked:
    """Returns the cpio archive of an .rpm, decompressed as it is read, at most `limit` bytes. Raises ArchiveError."""
    at = _header_end(data, LEAD)
    at = _header_end(data, LEAD + (at - LEAD + 7) // 8 * 8)
    form = format_at(data, at)
    if form is None and bytes(data[at : at + 6]) not in CPIO_MAGICS:
        raise ArchiveError(f"is an rpm whose files are compressed with what this can't read, at byte {at}")
    return Unpacked(data, form, at, limit)


def _header_end(data: bytes, at: int) -> int:
    head = bytes(data[at : at + 16])
    if len(head) < 16 or head[:4] != HEADER_MAGIC:
        raise ArchiveError(f"is an rpm without a header at byte {at}")
    entries, size = struct.unpack_from(">II", head, 8)
    end: int = at + 16 + 16 * entries + size
    if end > len(data):
        raise ArchiveError(f"is an rpm that is cut short in the header at byte {at}")
    return end


def cpio_files(stream: Unpacked, limit: int) -> Iterator[tuple[str, int, "Rest"]]:
    """Yields each regular file of a cpio archive: its name, its size, and what reads it.

    A file that isn't read is passed over. Raises ArchiveError for damage, and for a file of more than `limit` bytes
    that is read.
    """
    reader = Rest(stream)
    while True:
        head = reader.exactly(CPIO_HEADER)
        if head[:6] not in CPIO_MAGICS:
            if head[:6] == CPIO_STRIPPED:
                raise ArchiveError("is an rpm with files of 4 GiB or more; rpm2archive makes a tar of it")
            raise ArchiveError(f"has no cpio header at byte {reader.at - CPIO_HEADER} of its files")
        try:
            fields = [int(head[place : place + 8], 16) for place in range(6, CPIO_HEADER, 8)]
        except ValueError:
            raise ArchiveError(f"has a damaged cpio header at byte {reader.at - CPIO_HEADER} of its files") from None
        mode, size, name_size = fields[1], fields[6], fields[11]
        if not 0 < name_size <= MAX_NAME:
            raise ArchiveError(f"has a file name of {name_size} bytes")
        name = reader.exactly(name_size)[:-1].decode("utf-8", "backslashreplace").removeprefix("./")
        reader.align()
        if name == "TRAILER!!!":
            return
        reader.left, reader.limit = size, limit
        if mode & S_IFMT == S_IFREG:
            yield name, size, reader
        reader.skip()
        reader.align()


class Rest:
    """A stream that knows where it is; `left` bytes of the present file are still to come."""

    def __init__(self, stream: Unpacked):
        self._stream, self.at, self.left, self.limit = stream, 0, 0, 0
        self._had = b""

    def exactly(self, size: int) -> bytes:
        """Returns the next bytes. Raises ArchiveError where there are fewer."""
        parts, missing = [self._had[:size]], size - len(self._had)
        self._had = self._had[size:]
        while missing > 0:
            chunk = self._stream.read(1 << 20)
            if not chunk:
                raise ArchiveError(f"is cut short at byte {self.at + size - missing} of its files")
            parts.append(chunk[:missing])
            self._had = chunk[missing:]
            missing -= len(parts[-1])
        self.at += size
        return b"".join(parts)

    def read(self) -> bytes:
        """Returns the present file. Raises ArchiveError for one that is too large."""
        if self.left > self.limit:
            raise ArchiveError(f"holds a file of {self.left} bytes, more than {self.limit}")
        size, self.left = self.left, 0
        return self.exactly(size)

    def skip(self) -> None:
        """Passes over what is left of the present file."""
        while self.left:
            size = min(self.left, 1 << 20)
            self.exactly(size)
            self.left -= size

    def align(self) -> None:
        """Goes to the next place that is a multiple of 4, as names and files end."""
        self.exactly(-self.at % 4)
