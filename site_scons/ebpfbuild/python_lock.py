"""Reads a lock, such as requirements.lock: Python packages, each with the sha256 of every file that may be installed.

The format is pip's: `name==version ; marker \\` and lines of `--hash=sha256:DIGEST`. Set-up reads locks too, before any
package is installed: the standard library alone.
"""

import hashlib
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from .errors import PythonLockError
from .files import read_regular

LOCK_NAME = "requirements.lock"
LARGEST = 4 << 20  # bytes of a lock: that of this project has 40 kB
_ENTRY = re.compile(
    r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)==(?P<version>[A-Za-z0-9][A-Za-z0-9.!+_-]*)\s*(;(?P<marker>[^\\\n]*?))?(?P<hashes>(\s+--hash=sha256:[0-9a-f]{64})*)\s*\\?"
)
# The one kind of marker that our locks have; another is refused, not guessed at.
_MARKER = re.compile(r'python_version\s*(<|>=)\s*"(\d+)\.(\d+)"')
_HASH = re.compile(r"\s*--hash=sha256:([0-9a-f]{64})\s*\\?")


class LockedPackage(NamedTuple):
    """A package of a lock: its name in PEP 503's normal form, its version, the sha256 of each file of it.

    `marker` says which Pythons need it; empty for all of them.
    """

    name: str
    version: str
    hashes: tuple[str, ...]
    marker: str = ""

    def applies(self, python: str) -> bool:
        """Returns True if a Python such as "3.11" needs it. Raises PythonLockError for an unknown marker."""
        if not self.marker:
            return True
        found = _MARKER.fullmatch(self.marker)
        if not found:
            raise PythonLockError(f"{self.name} has a marker that is not understood: {self.marker}", where="lock")
        below = python_version(python) < (int(found[2]), int(found[3]))
        return below if found[1] == "<" else not below

    @property
    def requirement(self) -> str:
        """The package as pip reads it on one line, without its marker."""
        return " ".join([f"{self.name}=={self.version}", *(f"--hash=sha256:{each}" for each in sorted(self.hashes))])

    @property
    def purl(self) -> str:
        """The package URL (github.com/package-url/purl-spec, type pypi)."""
        return f"pkg:pypi/{self.name}@{self.version.replace('+', '%2B')}"

    @property
    def digest(self) -> str:
        """The sha256 over the lines `<sha256>  <name>-<version>` of its hashes: one for the wheels of all machines.

        A package's manifest names the compiler by the same one (compile/clang_release.py).
        """
        lines = "".join(f"{each}  {self.name}-{self.version}\n" for each in sorted(self.hashes))
        return hashlib.sha256(lines.encode()).hexdigest()


class Lock(NamedTuple):
    """A lock: the sha256 of its file, and its packages."""

    sha256: str
    packages: tuple[LockedPackage, ...]

    def package(self, name: str) -> LockedPackage | None:
        """Returns the package of a name, if the lock has it."""
        return next((each for each in self.packages if each.name == normal(name)), None)


def normal(name: str) -> str:
    """Returns a package's name as PEP 503 normalizes it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def read_lock(path: Path) -> Lock:
    """Reads a lock. Raises PythonLockError for a line that is no part of one, OSError."""
    data = read_regular(path, LARGEST)
    found: dict[tuple[str, str, str], list[str]] = {}
    hashes: list[str] | None = None
    for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if (entry := _ENTRY.fullmatch(line)) is not None:
            key = normal(entry["name"]), entry["version"], (entry["marker"] or "").strip()
            hashes = found.setdefault(key, [])
            hashes += re.findall("[0-9a-f]{64}", entry["hashes"])
        elif (digest := _HASH.fullmatch(line)) is not None and hashes is not None:
            hashes.append(digest[1])
        else:
            what = "is no line of a lock with hashes"
            raise PythonLockError(
                what, where=f"{path}:{number}", fix="make it as docs/CONTRIBUTING.md says: pip-compile"
            )
    packages = tuple(
        LockedPackage(name, version, tuple(each), marker) for (name, version, marker), each in sorted(found.items())
    )
    return Lock(hashlib.sha256(data).hexdigest(), packages)


def installed_otherwise(lock: Lock, folders: Iterable[str] | None = None) -> Mapping[str, str]:
    """Returns the versions of those packages that are installed in another version than the lock's, by name.

    A package that isn't installed has none: a marker of the lock may leave it out. `folders` replace sys.path.
    """
    from importlib import metadata  # not for a null build: it takes 15 ms

    wanted = {each.name: each.version for each in lock.packages}
    path = sys.path if folders is None else list(folders)
    there = ((normal(each.metadata["Name"] or ""), each.version) for each in metadata.distributions(path=path))
    return {name: version for name, version in there if wanted.get(name, version) != version}


def lacking_wheels(locks: Iterable[Lock], python: str, digests: Iterable[str]) -> list[str]:
    """Returns the packages of the locks that none of the wheels, given by their digests, is. Raises PythonLockError."""
    have = frozenset(digests)
    packages = (each for lock in locks for each in lock.packages if each.applies(python))
    return sorted({f"the wheel of {each.name} {each.version}" for each in packages if have.isdisjoint(each.hashes)})


def python_version(python: str) -> tuple[int, ...]:
    """Returns a Python's version as numbers: (3, 11) for "3.11"."""
    return tuple(map(int, python.split(".")))
