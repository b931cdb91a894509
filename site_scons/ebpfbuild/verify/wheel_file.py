"""Reads a wheel that anybody may have made: bounded, without unpacking it, and only plain files.

Formats: PKWARE's APPNOTE.TXT for ZIP, PEP 427 for wheels.
"""

import io
import stat
import struct
import zipfile
import zlib
from functools import cached_property
from pathlib import Path

from ..errors import PaperError
from ..files import read_regular
from ..release.sums import SUMS, sha256

MAX_WHEEL_SIZE = 256 << 20  # bytes of a wheel, and of all that it unpacks to
MAX_FILES = 10_000
COPY_AGAIN = "don't install it; copy the release again"
# zipfile documents BadZipFile alone, but passes on those of other modules on malformed streams.
_MALFORMED = (zipfile.BadZipFile, OSError, EOFError, ValueError, RuntimeError, LookupError, struct.error, zlib.error,
              NotImplementedError, OverflowError)  # fmt: skip


class WheelFile:
    """A wheel: the name and bytes of its file, and the bytes of its members by path, in the archive's order."""

    def __init__(self, name: str, data: bytes):
        self.name, self.data = name, data
        self.files = _members(data, name)

    @cached_property
    def sha256(self) -> str:
        """The digest of the file."""
        return sha256(self.data)

    @cached_property
    def info(self) -> str:
        """The folder of the wheel's facts, `<name>-<version>.dist-info`. Raises PaperError unless there is just one."""
        folders = {path.partition("/")[0] for path in self.files}
        found = sorted(each for each in folders if each.endswith(".dist-info"))
        if len(found) != 1:
            what = f"has {' and '.join(found)}" if found else "has no .dist-info folder"
            raise PaperError(f"{what}: a wheel has one", where=self.name, fix=COPY_AGAIN)
        return found[0]

    def read(self, path: str) -> bytes:
        """Returns a member's bytes. Raises PaperError where there is none."""
        if path not in self.files:
            raise PaperError("is not in the wheel", where=path, fix="it isn't a package of this build's, or not whole")
        return self.files[path]


def read_wheel(path: Path) -> WheelFile:
    """Reads a wheel's file. Raises PaperError, with the path."""
    if path.suffix == ".tar":
        fix = f"name the wheel; the tar's papers check it: sha256sum -c {path.name}.{SUMS}"
        raise PaperError("is a tar, and wheels are checked", where=str(path), fix=fix)
    try:
        data = read_regular(path, MAX_WHEEL_SIZE)
    except OSError as error:
        raise PaperError(f"can't be read: {error.strerror}", where=str(path), fix="name the wheel's file") from None
    return WheelFile(path.name, data)


def _members(data: bytes, name: str) -> dict[str, bytes]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            _check_bounds(entries, name)
            found: dict[str, bytes] = {}
            for entry in entries:
                _check_entry(entry, found, name)
                with archive.open(entry) as file:
                    data = found[entry.filename] = file.read(entry.file_size + 1)
                if len(data) != entry.file_size:
                    raise ValueError(f"{entry.filename} has {len(data)} of {entry.file_size} bytes")
            return found
    except _MALFORMED as error:
        text = (str(error).splitlines() or [type(error).__name__])[0]
        raise PaperError(f"is no whole archive ({text})", where=name, fix=COPY_AGAIN) from None


def _check_bounds(entries: list[zipfile.ZipInfo], name: str) -> None:
    if len(entries) > MAX_FILES:
        raise PaperError(f"holds more than {MAX_FILES} files", where=name, fix=COPY_AGAIN)
    if sum(entry.file_size for entry in entries) > MAX_WHEEL_SIZE:
        raise PaperError(f"unpacks to more than {MAX_WHEEL_SIZE >> 20} MiB", where=name, fix=COPY_AGAIN)


def _check_entry(entry: zipfile.ZipInfo, before: dict[str, bytes], name: str) -> None:
    path, parts = entry.filename, entry.filename.split("/")
    if path in before:
        raise PaperError(f"holds {path} twice", where=name, fix=COPY_AGAIN)
    # A NUL ends a name for zipfile, and not for other readers.
    odd = path != entry.orig_filename or "\\" in path or not path.isprintable() or ":" in parts[0]
    if odd or any(part in ("", ".", "..") for part in parts):
        raise PaperError(f"holds {path!r}, which is no path below it", where=name, fix=COPY_AGAIN)
    mode = entry.external_attr >> 16
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        kind = "a symlink" if stat.S_ISLNK(mode) else "no file"
        raise PaperError(f"holds {path}, which is {kind}", where=name, fix=COPY_AGAIN)
