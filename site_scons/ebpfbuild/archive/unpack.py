"""Decompresses gzip, xz, lzma, bzip2, zstd and lz4, in pieces and never more than a limit.

The bytes may come from anywhere: damage, an end in the middle and a bomb are each an ArchiveError.
"""

import sys
import zlib
from collections.abc import Callable
from importlib import import_module
from typing import Any, NamedTuple, Protocol

from ..errors import ArchiveError

MAX_UNPACKED_SIZE = 512 << 20  # bytes out of one stream, so that a small file can't take all memory or time
CHUNK = 1 << 20
LZMA_MEMORY = 256 << 20  # bytes that a stream's dictionary may take; xz -9 takes 65 MB
LZ4_LEGACY_BLOCK = 8 << 20  # lz4_Frame_format.md, "Legacy frame": blocks of 8 MB, each with its packed size in front
LZ4_LEGACY_PACKED = LZ4_LEGACY_BLOCK + LZ4_LEGACY_BLOCK // 255 + 16  # LZ4_COMPRESSBOUND: no size, but the stream's end

# Not one after the other: to look for a module that isn't there takes longer than to decompress a small file.
_ZSTD = "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"


class Decompressor(Protocol):
    """An object such as lzma.LZMADecompressor; `needs_input` is False while more may come out of what it has."""

    @property
    def eof(self) -> bool:
        """True once the stream's end was read."""

    @property
    def needs_input(self) -> bool:
        """True if nothing comes out before more goes in."""

    @property
    def unused_data(self) -> bytes | None:
        """The bytes behind the stream's end."""

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        """Returns at most so many bytes."""


class Format(NamedTuple):
    """A way to compress: its name, its first bytes, what makes a decompressor."""

    name: str
    magic: bytes
    make: Callable[[], Decompressor]


class _Gzip:
    """zlib's decompressor with the methods that those of the other modules have."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(31)  # 16 for gzip's header, 15 for the largest window

    @property
    def eof(self) -> bool:
        return self._zlib.eof

    @property
    def needs_input(self) -> bool:
        return not self._zlib.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._zlib.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._zlib.decompress(self._zlib.unconsumed_tail + data, max_length)


class _Lz4Legacy:
    """The old frame of lz4, which Linux images have: blocks until the data ends, or what can't be a block's size."""

    def __init__(self) -> None:
        self._block = import_lz4("lz4.block")
        self._left, self._begun, self._ended, self._blocks = b"", False, False, 0
        self.unused_data = b""

    @property
    def eof(self) -> bool:
        return self._ended

    @property
    def needs_input(self) -> bool:
        return not self._ready()

    @property
    def may_end(self) -> bool:
        """True behind a block: what follows the last one, such as the unpacked size, may look like another's size."""
        return self._blocks > 0

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """Returns one block, if there is one: up to 8 MB, whatever `max_length` says."""
        self._left += data
        if not self._begun and len(self._left) >= 4:
            self._left, self._begun = self._left[4:], True
        if not self._ready():
            return b""
        end = 4 + self._size()
        out: bytes = self._block.decompress(self._left[4:end], uncompressed_size=LZ4_LEGACY_BLOCK)
        self._left, self._blocks = self._left[end:], self._blocks + 1
        return out

    def _size(self) -> int:
        return int.from_bytes(self._left[:4], "little")

    def _ready(self) -> bool:
        """Returns True if a whole block is there; what can't be a block's size is the end."""
        if not self._begun or self._ended or len(self._left) < 4:
            return False
        self._ended = not 0 < self._size() <= LZ4_LEGACY_PACKED  # a kernel's build appends the unpacked size
        return not self._ended and len(self._left) >= 4 + self._size()


def import_lz4(name: str) -> Any:
    """Returns a module of the package lz4, which requirements.lock has. Raises ArchiveError."""
    try:
        return import_module(name)
    except ImportError:
        raise _lacks("lz4", "lz4") from None


def _lz4_frame() -> Any:
    """Returns lz4's decompressor; its `decompress` has no positional max_length."""
    frame = import_lz4("lz4.frame").LZ4FrameDecompressor

    class Lz4Frame(frame):  # type: ignore[misc, valid-type]
        def decompress(self, data: bytes, max_length: int) -> bytes:
            out: bytes = super().decompress(data, max_length=max_length)
            return out

    return Lz4Frame()


def zstd_decompressor() -> Any:
    """Returns a decompressor of Python 3.14's zstd, or of its backport (PEP 784), which requirements.lock has.

    Raises ArchiveError where it is missing.
    """
    try:
        return import_module(_ZSTD).ZstdDecompressor()
    except ImportError:
        raise _lacks("zstd", "backports.zstd") from None


def _lzma(form: str) -> Decompressor:
    """Returns a decompressor of one of lzma's formats, imported here: a Python may be built without."""
    import lzma

    return lzma.LZMADecompressor(getattr(lzma, form), LZMA_MEMORY)


def _bzip2() -> Decompressor:
    import bz2

    return bz2.BZ2Decompressor()


def _lacks(what: str, package: str) -> ArchiveError:
    fix = f"run ./sconsw, or pip install --require-hashes -r requirements.lock ({package})"
    return ArchiveError(f"is compressed with {what}, which this Python can't read", fix=fix)


FORMATS = (
    Format("gzip", b"\x1f\x8b\x08", _Gzip),
    Format("xz", b"\xfd7zXZ\0", lambda: _lzma("FORMAT_XZ")),
    Format("zstd", b"\x28\xb5\x2f\xfd", zstd_decompressor),
    Format("lz4", b"\x02\x21\x4c\x18", _Lz4Legacy),
    Format("lz4", b"\x04\x22\x4d\x18", _lz4_frame),
    Format("bzip2", b"BZh", _bzip2),
    Format("lzma", b"\x5d\0\0", lambda: _lzma("FORMAT_ALONE")),
)


def format_at(data: bytes, at: int = 0) -> Format | None:
    """Returns what the bytes at a place are compressed with, by their first ones; None if with nothing known."""
    head = bytes(data[at : at + 6])
    return next((each for each in FORMATS if head.startswith(each.magic)), None)


class Unpacked:
    """A stream of what a place in `data` decompresses to; of the bytes themselves where `form` is None.

    `read` raises ArchiveError for damage, for an end in the middle, and once more than `limit` bytes came out. Streams
    that follow one another, as gzip and xz allow, are one; what else is behind the end is passed over.
    """

    def __init__(self, data: bytes, form: Format | None, at: int = 0, limit: int | None = None):
        self._data, self._form, self._at = data, form, at
        self.limit = MAX_UNPACKED_SIZE if limit is None else limit
        self._left = self.limit
        self._stream = form.make() if form else None

    def read(self, size: int) -> bytes:
        """Returns the next bytes, at most `size`, none at the end. Raises ArchiveError."""
        out = self._plain(size) if self._stream is None else self._decompressed(self._stream, min(size, CHUNK))
        self._left -= len(out)
        if self._left < 0:
            raise ArchiveError(f"unpacks to more than {self.limit} bytes")
        return out

    def _plain(self, size: int) -> bytes:
        out = self._data[self._at : self._at + size]
        self._at += len(out)
        return out

    def _decompressed(self, stream: Decompressor, size: int) -> bytes:
        try:
            while True:
                if stream.eof:
                    if not self._next_stream(stream):
                        return b""
                    stream = self._stream = self._form.make()  # type: ignore[union-attr]
                chunk = self._plain(CHUNK) if stream.needs_input else b""
                if not chunk and stream.needs_input and not stream.eof:
                    if isinstance(stream, _Lz4Legacy) and stream.may_end:
                        return b""
                    raise _damaged("it ends in the middle")
                if out := stream.decompress(chunk, size):
                    return out
        except ArchiveError:
            raise
        except Exception as error:  # zlib, lzma, bz2, zstd and lz4 each have errors of their own
            raise _damaged(str(error)) from None

    def _next_stream(self, stream: Decompressor) -> bool:
        """Returns True if another stream follows the one that ended, and goes there."""
        self._at -= len(stream.unused_data or b"")  # None in lz4.frame
        there = format_at(self._data, self._at)
        if there is not self._form:
            self._at = len(self._data)
        return there is not None and there is self._form

    def rest(self) -> bytes:
        """Returns all that is left of it. Raises ArchiveError."""
        parts = []
        while part := self.read(CHUNK):
            parts.append(part)
        return b"".join(parts)


def _damaged(reason: str) -> ArchiveError:
    """Returns the error of compressed data, an archive's or a kernel image's, that is cut short or has other bytes."""
    return ArchiveError(f"holds compressed data that can't be read: {reason}", fix="it is damaged: get it again")
