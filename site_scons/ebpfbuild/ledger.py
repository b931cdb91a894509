"""A file's digest by its stat, and what each output held when it was built: SCons never looks at a target again."""

import contextlib
import hashlib
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple


class _Seen(NamedTuple):
    size: int
    mtime_ns: int
    ctime_ns: int  # a tool can set an mtime back, not a ctime
    inode: int
    sha256: str


def sha256_of(path: str | os.PathLike) -> str:
    """The sha256 of a file's bytes, in hex. Raises OSError."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Ledger:
    """Digests and facts, kept in a file of JSON lines that is only ever appended to; the last line about a thing counts.

    A build that is killed loses at most its last line, and a line cut short is passed over.
    """

    def __init__(self, path: str | os.PathLike):
        self._path = Path(path)
        self._lock = threading.Lock()
        self._files: dict[str, _Seen] = {}
        self._facts: dict[str, object] = {}
        lines = self._read()
        if lines > 200 + 2 * (len(self._files) + len(self._facts)):
            self._rewrite()

    def digest(self, path: str) -> str:
        """The sha256 of the file as it is now, hashed again only when its stat changed. Raises OSError."""
        now = self._stat(path)
        seen = self._files.get(path)
        if seen and seen[:4] == now:
            return seen.sha256
        return self._note(path, now, sha256_of(path))

    def built(self, path: str, by: str = "") -> None:
        """Remembers what an output holds, right after it was made, and `by` whom. Raises OSError."""
        self._note(by + path, self._stat(path), sha256_of(path))

    def intact(self, path: str, by: str = "") -> bool:
        """Whether an output still holds what was built. False as well for one that this ledger never saw built."""
        seen = self._files.get(by + path)
        try:
            now = self._stat(path)
            if seen is None or seen[:4] == now:
                return seen is not None
            if sha256_of(path) != seen.sha256:
                return False
        except OSError:
            return False
        self._note(by + path, now, seen.sha256)
        return True

    def fact(self, key: str, find):
        """The JSON value kept under `key`, found by calling `find` when it is not known yet."""
        if key not in self._facts:
            value = find()
            with self._lock:
                self._facts[key] = value
                self._append(["fact", key, value])
        return self._facts[key]

    @staticmethod
    def _stat(path: str) -> tuple[int, int, int, int]:
        stat = os.stat(path)
        return stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino

    def _note(self, path: str, now: tuple[int, int, int, int], sha256: str) -> str:
        with self._lock:
            self._files[path] = _Seen(*now, sha256)
            self._append(["file", path, *now, sha256])
        return sha256

    def _append(self, line: list) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with open(self._path, "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def _read(self) -> int:
        try:
            lines = self._path.read_text(encoding="utf-8", errors="replace").splitlines()
        except FileNotFoundError:
            return 0
        for line in _parsed(lines):
            try:
                kind, key, *rest = line
                if kind == "file":
                    self._files[key] = _Seen(*rest)
                elif kind == "fact":
                    self._facts[key] = rest[0]
            except (ValueError, TypeError, IndexError):
                continue
        return len(lines)

    def _rewrite(self) -> None:
        lines = [["file", path, *seen] for path, seen in self._files.items()]
        lines += [["fact", key, value] for key, value in self._facts.items()]
        fresh = self._path.with_name(self._path.name + ".new")
        fresh.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
        os.replace(fresh, self._path)


def _parsed(lines: list[str]) -> Iterator[object]:
    """The JSON values of the lines, those that are none left out. All at once is four times as fast as one by one."""
    try:
        yield from json.loads(f"[{','.join(lines)}]")
        return
    except ValueError:
        pass
    for line in lines:
        with contextlib.suppress(ValueError):
            yield json.loads(line)
