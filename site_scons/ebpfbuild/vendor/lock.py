"""A lock of Python packages, as pip writes it: requirements with their hashes.

Read by set-up too, before any package is installed: the standard library alone.
Source: https://pip.pypa.io/en/stable/reference/requirements-file-format/
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from ..errors import VendorError

_ENTRY = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*==[^\s;]+)(?:\s*;\s*(.+?))?((?:\s+--hash=sha256:[0-9a-f]{64})+)")
# The one marker that our locks hold; anything else is refused, not guessed at.
_MARKER = re.compile(r'python_version\s*(<|>=)\s*"(\d+)\.(\d+)"')


class Requirement(NamedTuple):
    """A package of a lock: `pinned` is NAME==VERSION, `hashes` are those of all its files."""

    pinned: str
    marker: str
    hashes: frozenset[str]

    def applies(self, python: str) -> bool:
        """Returns True if a Python such as "3.11" needs it."""
        if not self.marker:
            return True
        found = _MARKER.fullmatch(self.marker)
        if not found:
            raise VendorError(f"{self.pinned} has a marker that is not understood: {self.marker}", where="lock")
        below = version(python) < (int(found[2]), int(found[3]))
        return below if found[1] == "<" else not below

    @property
    def line(self) -> str:
        """The requirement without its marker, as pip reads it."""
        return " ".join([self.pinned, *(f"--hash=sha256:{digest}" for digest in sorted(self.hashes))])


def read_lock(path: Path) -> list[Requirement]:
    """Reads a lock. Raises VendorError for a line that pins nothing."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace").replace("\\\n", " ")
    except OSError as error:
        raise VendorError(f"can't be read: {error.strerror}", where=str(path)) from None
    found = []
    for line in filter(None, (line.partition("#")[0].strip() for line in text.splitlines())):
        entry = _ENTRY.fullmatch(line)
        if not entry:
            fix = f"git checkout {path.name}"
            raise VendorError(f"pins nothing with {line[:60]!r}", where=str(path), fix=fix)
        hashes = frozenset(re.findall("[0-9a-f]{64}", entry[3]))
        found.append(Requirement(entry[1], (entry[2] or "").strip(), hashes))
    return found


def lacking_wheels(locks: Iterable[Path], python: str, digests: Iterable[str]) -> list[str]:
    """Returns the packages of the locks that none of the wheels, given by their digests, is. Raises VendorError."""
    have = frozenset(digests)
    missing = (each for lock in locks for each in read_lock(lock) if each.applies(python) and not each.hashes & have)
    return sorted({f"the wheel of {requirement.pinned}" for requirement in missing})


def version(python: str) -> tuple[int, ...]:
    """Returns a Python's version as numbers: (3, 11) for "3.11"."""
    return tuple(map(int, python.split(".")))
