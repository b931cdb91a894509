"""Reads requirements.lock: the Python packages of a build, each with the sha256 of every file that may be installed.

The format is pip's: `name==version ; marker \\` and lines of `--hash=sha256:DIGEST`.
"""

import hashlib
import re
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from ..errors import PaperError
from ..files import read_regular

NAME = "requirements.lock"
LARGEST = 4 << 20  # bytes of a lock: that of this project has 40 kB
_ENTRY = re.compile(
    r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)==(?P<version>[A-Za-z0-9][A-Za-z0-9.!+_-]*)\s*(;[^\\\n]*)?\\?"
)
_HASH = re.compile(r"\s*--hash=sha256:([0-9a-f]{64})\s*\\?")


class LockedPackage(NamedTuple):
    """A package of a lock: its name in PEP 503's normal form, its version, the sha256 of each file of it."""

    name: str
    version: str
    hashes: tuple[str, ...]

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
    """Reads a lock. Raises PaperError for a line that is no part of one, OSError."""
    data = read_regular(path, LARGEST)
    found: dict[tuple[str, str], list[str]] = {}
    hashes: list[str] | None = None
    for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if (entry := _ENTRY.fullmatch(line)) is not None:
            hashes = found.setdefault((normal(entry["name"]), entry["version"]), [])
        elif (digest := _HASH.fullmatch(line)) is not None and hashes is not None:
            hashes.append(digest[1])
        else:
            what = "is no line of a lock with hashes"
            raise PaperError(what, where=f"{path}:{number}", fix="make it as docs/CONTRIBUTING.md says: pip-compile")
    packages = tuple(LockedPackage(*key, tuple(each)) for key, each in sorted(found.items()))
    return Lock(hashlib.sha256(data).hexdigest(), packages)


def installed_otherwise(lock: Lock) -> Mapping[str, str]:
    """Returns the versions of those packages that are installed here in another version than the lock's, by name.

    A package that isn't installed has none: a marker of the lock may leave it out.
    """
    found = {}
    for each in lock.packages:
        try:
            version = metadata.version(each.name)
        except metadata.PackageNotFoundError:
            continue
        if version != each.version:
            found[each.name] = version
    return found
