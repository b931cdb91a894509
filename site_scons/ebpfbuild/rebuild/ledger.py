"""Remembers files' digests by their stat, and each output's when it was built: SCons never looks at a target again."""

import contextlib
import errno
import hashlib
import json
import os
import stat
import threading
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from ..files import UnfitFileError, make_room, open_regular, read_regular, write_file, write_whole
from ..shortage import FULL, is_shortage

# A clock that stamps files ticks every 10 ms at the worst (HZ=100): an edit within the tick of the last one shows in no
# stat.
TICK = 20_000_000  # ns
UNWRITABLE = (errno.EROFS, errno.EACCES, errno.EPERM)
NEVER = -1  # the ctime of a stat that vouches for nothing
ITS_STEP, FROM_CACHE = "", "cache "  # by whom outputs are noted: all, and those that a cache gave

Fact = Callable[[str, Callable[[], dict[str, Any]]], dict[str, Any]]  # the type of Ledger.fact


class _Stat(NamedTuple):
    """The part of a file's stat that an edit changes."""

    size: int
    mtime_ns: int
    ctime_ns: int  # a tool can set an mtime back, not a ctime
    inode: int


class _Seen(NamedTuple):
    """A file's stat, and its digest then."""

    size: int
    mtime_ns: int
    ctime_ns: int  # a tool can set an mtime back, not a ctime
    inode: int
    sha256: str


_NOTHING = _Seen(0, NEVER, NEVER, 0, "")  # no file is this one


def sha256_of(path: str | os.PathLike[str]) -> str:
    """Returns the sha256 of a file's bytes, in hex. Raises OSError."""
    with open_regular(path, None) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Ledger:
    """Digests and facts, in a file that only grows; the last line about a thing counts.

    A line is its JSON behind the JSON's CRC-32. One that is cut short or damaged is passed over. A ledger that is
    `read_only` writes nothing: for a run that builds nothing. Raises OutputError for a folder with files in the file's
    place.

    What a run builds counts for later ones when they find it kept: a build that is killed leaves outputs of which SCons
    remembers nothing, and would take them for those of the build before it, by whose inputs it decides.

        ["file", path, *_Seen]   a file's digest
        ["run"]                  a run makes its first output
        ["made", path, *_Seen]   an output's digest
        ["kept"]                 what was made since the last "run" counts
        ["fact", key, value]
    """

    def __init__(self, path: str | os.PathLike[str], read_only: bool = False):
        self._path, self._read_only = Path(path), read_only
        self._lock = threading.Lock()
        self._torn = False  # the file ends within a line
        self._makes = False  # this run has made an output
        self.noted = 0  # how many outputs this run has made
        self._files: dict[str, _Seen] = {}
        self._facts: dict[str, dict[str, Any]] = {}
        lines = self._read()
        if not read_only and lines > 200 + 2 * (len(self._files) + len(self._facts)):
            with contextlib.suppress(OSError):  # it is only shorter then
                self._rewrite()

    def digest(self, path: str, kind: str = "", find: Callable[[str], str] = sha256_of) -> str:
        """Returns the sha256 of the file as it is now, hashed again only when its stat changed. Raises OSError.

        Another `kind` of digest is what `find(path)` gives, and is remembered beside the sha256.
        """
        now = self._stat(path)
        seen = self._files.get(kind + path)
        if seen and seen[:4] == now:
            return seen.sha256
        return self._note(kind + path, now, find(path))

    def built(self, path: str, *by: str, sha256: str = "") -> str:
        """Remembers what an output holds, right after it was made, and by whom: its own step unless given.

        Returns its sha256.

        `sha256` is that of the bytes that were written there, by whoever knows it. It is taken where the file's stat is
        of this very tick and so vouches for nothing: the next look compares the bytes with it. Raises OSError.
        """
        now = self._stat(path)
        if not sha256 or _vouching(now).ctime_ns != NEVER:
            sha256 = sha256_of(path)
        seen = _Seen(*_vouching(now), sha256)
        with self._lock:
            names = [each + path for each in by or (ITS_STEP,)]
            begin = [] if self._makes else [["run"]]
            self._makes = True
            self.noted += 1
            self._files.update(dict.fromkeys(names, seen))
            self._append(*begin, *(["made", name, *seen] for name in names), required=True)
        return sha256

    def keep(self) -> None:
        """Has what this run built count for later runs: SCons has written what it was made of. Raises OSError."""
        with self._lock:
            if self._makes:
                self._makes = False
                self._append(["kept"], required=True)

    def intact(self, path: str, by: str = ITS_STEP) -> bool:
        """Returns True if an output still holds what was built; False as well for one that was never seen built.

        Raises OSError where the machine lacks what it takes to look.
        """
        seen = self._files.get(by + path)
        try:
            now = self._stat(path)
            if seen is None or seen[:4] == now:
                return seen is not None
            if sha256_of(path) != seen.sha256:
                return False
        except OSError as error:
            if is_shortage(error):
                raise
            return False
        self._note(by + path, now, seen.sha256)
        return True

    def forget(self, path: str, by: str) -> None:
        """Has an output no longer be by somebody, if it was."""
        if self._files.get(by + path, _NOTHING) != _NOTHING:
            with self._lock:
                self._files[by + path] = _NOTHING
                self._append(["file", by + path, *_NOTHING], required=True)

    def fact(self, key: str, find: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Returns the JSON object kept under `key`, found by calling `find` when it is not known yet."""
        if key not in self._facts:
            value = find()
            with self._lock:
                self._facts[key] = value
                self._append(["fact", key, value])
        return self._facts[key]

    def recall(self, key: str) -> dict[str, Any] | None:
        """Returns the JSON object kept under `key`; None where there is none."""
        return self._facts.get(key)

    @staticmethod
    def _stat(path: str) -> _Stat:
        found = os.stat(path)
        if not stat.S_ISREG(found.st_mode):
            open_regular(path, None).close()  # raises, and says what it is
        return _Stat(found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)

    def _note(self, path: str, now: _Stat, sha256: str) -> str:
        with self._lock:
            seen = _Seen(*_vouching(now), sha256)
            if self._files.get(path) != seen:
                self._files[path] = seen
                self._append(["file", path, *seen])
        return sha256

    def _append(self, *lines: list[Any], required: bool = False) -> None:
        """Writes lines. Raises OSError.

        A line that isn't `required` may stay unwritten in a tree that can't be written, or is full: a null build ends
        there, and whoever looks at a file isn't told of another. What was made is required, as it would be made again
        by each build.
        """
        if self._read_only:
            return
        try:
            self._write("".join(map(_line, lines)))
        except OSError as error:
            if required or error.errno not in (*UNWRITABLE, *FULL):
                error.filename = error.filename or str(self._path)  # a full disk shows in a write, which names no file
                raise

    def _write(self, lines: str) -> None:
        try:
            handle = self._open()
        except FileNotFoundError:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            handle = self._open()
        begin, self._torn = "\n" if self._torn else "", True
        try:
            write_whole(handle, (begin + lines).encode())
        finally:
            os.close(handle)
        self._torn = False

    def _open(self) -> int:
        """Opens the file to add to it; never waits."""
        # What a pipe or a link to a device in its place would do is nothing to wait for.
        return os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC, 0o644)

    def _read(self) -> int:
        """Reads what is there and returns the number of lines. What is no ledger makes room for a new one."""
        try:
            data = read_regular(self._path)
            lines, self._torn = data.splitlines(), bool(data) and not data.endswith(b"\n")
        except (FileNotFoundError, UnfitFileError):  # none, a link to nowhere, a pipe, a folder …
            lines = []
            if not self._read_only:
                make_room(self._path)
        make, doubtful = _Seen._make, set()
        for line in _parsed(lines):
            try:
                if line[0] == "file":
                    self._files[line[1]] = make(line[2:])
                elif line[0] == "made":
                    self._files[line[1]] = make(line[2:])
                    doubtful.add(line[1])
                elif line[0] == "fact" and isinstance(line[2], dict):
                    self._facts[line[1]] = line[2]
                elif line[0] == "kept":
                    doubtful.clear()
                elif line[0] == "run":
                    self._files.update(dict.fromkeys(doubtful, _NOTHING))
                    doubtful.clear()
            except (TypeError, LookupError):
                continue
        self._files.update(dict.fromkeys(doubtful, _NOTHING))
        return len(lines)

    def _rewrite(self) -> None:
        lines = [["file", path, *seen] for path, seen in self._files.items() if seen != _NOTHING]
        lines += [["fact", key, value] for key, value in self._facts.items()]
        write_file(self._path, "".join(map(_line, lines)).encode("ascii"))
        self._torn = False


def _vouching(now: _Stat) -> _Stat:
    """Returns a stat as the ledger keeps it: one of this very tick vouches for nothing."""
    return now._replace(ctime_ns=NEVER) if time.time_ns() - now.ctime_ns < TICK else now


def _line(value: list[Any]) -> str:
    text = json.dumps(value)
    return f"{zlib.crc32(text.encode()):08x} {text}\n"


def _parsed(lines: list[bytes]) -> list[Any]:
    """Returns the JSON values of the lines that are whole. All at once is four times as fast as one by one."""
    crc = zlib.crc32
    whole = [text for line in lines if line[:8] == b"%08x" % crc(text := line[9:])]
    try:
        return list(json.loads(b"[%s]" % b",".join(whole)))
    except (ValueError, RecursionError):  # no damage, but somebody's making
        return []
