"""Reads a package's manifest.json, which lists each program's object by arch and the tools that built it.

ebpfbuild/package/manifest.py writes it; docs/package.md is its reference. Unknown keys are ignored: later builds may
add some.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ..arch import this_arch
from ..errors import REINSTALL, DigestError, ObjectError
from ..files import missing_file_fix, read_file
from ..sha256 import sha256 as digest_of

NAME = "manifest.json"
FORMAT = 1
SHA256 = re.compile(r"[0-9a-f]{64}")
FILE = re.compile(r"(?!\.)[A-Za-z0-9_.+-]+(/(?!\.)[A-Za-z0-9_.+-]+)*")  # relative, and down only


class PackedBtf(NamedTuple):
    """An object's BTF for a kernel that has none: its `path` in the package, `sha256`, `size` in bytes.

    `kernel` is what `uname -r` says on that kernel, `*` standing for any text.
    """

    kernel: str
    path: str
    sha256: str
    size: int

    def fits(self, release: str) -> bool:
        """Returns True if it is for a kernel of that release."""
        return re.fullmatch(".*".join(map(re.escape, self.kernel.split("*"))), release) is not None


class Packed(NamedTuple):
    """One arch's object: its `path` in the package, `sha256`, `size` in bytes, and declared `license`.

    `facts` is the arch's whole entry in the manifest, which may have `header`, `compiler`, `proof`; `btfs` are for
    kernels without BTF.
    """

    path: str
    sha256: str
    size: int
    license: str
    facts: dict[str, Any]
    btfs: tuple[PackedBtf, ...] = ()

    def btf_for(self, release: str) -> PackedBtf | None:
        """Returns the BTF for a kernel without BTF: of those that fit its release, the one that says most of it."""
        fitting = [each for each in self.btfs if each.fits(release)]
        return max(fitting, key=lambda each: (each.kernel == release, len(each.kernel)), default=None)


class Manifest(NamedTuple):
    """A package's `name` and `version`, and each program's object by file name (`foo.bpf.o`) and arch."""

    name: str
    version: str
    programs: dict[str, dict[str, Packed]]

    def of(self, file: str, arch: str) -> Packed:
        """Returns a program's object for an arch. Raises ObjectError naming the arches that the package has."""
        arches = self.programs.get(file, {})
        if arch not in arches:
            fix = f"it holds {', '.join(sorted(arches)) or 'none'}: build it with ARCH={arch}"
            raise ObjectError(f"the package {self.name} has no {file} for this machine ({arch})", fix=fix)
        return arches[arch]

    def packed(self) -> Iterator[tuple[str, Packed]]:
        """Yields each object with its arch."""
        return ((arch, packed) for arches in self.programs.values() for arch, packed in sorted(arches.items()))


def parse(data: bytes, where: str) -> Manifest:
    """Parses a manifest; `where` names it in errors. Raises ObjectError."""
    import json

    try:
        facts = json.loads(data)
        if facts["format"] != FORMAT:
            what = f"{where} is of format {facts['format']}, this loader reads {FORMAT}"
            raise ObjectError(what, fix="take a loader as new as the package")
        programs = {
            file: {arch: _packed(each) for arch, each in arches.items()} for file, arches in facts["programs"].items()
        }
        return Manifest(str(facts["name"]), str(facts["version"]), programs)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise ObjectError(f"{where} is no manifest of a package", fix=REINSTALL) from None


def parsed_facts(programs: Mapping[str, Mapping[str, dict[str, Any]]]) -> Iterator[tuple[str, Packed]]:
    """Yields what a manifest has of each program, with its arch; `programs` are its entries, which `parse` checked."""
    return ((arch, _packed(each)) for arches in programs.values() for arch, each in sorted(arches.items()))


def _packed(facts: dict[str, Any]) -> Packed:
    entry = facts["object"]
    path, sha256, size, license = entry["path"], entry["sha256"], entry["size"], entry.get("license", "")
    if not (FILE.fullmatch(path) and SHA256.fullmatch(sha256) and type(size) is int and isinstance(license, str)):
        raise ValueError(entry)
    return Packed(path, sha256, size, license, facts, tuple(map(_packed_btf, facts.get("btfs", ()))))


def _packed_btf(facts: dict[str, Any]) -> PackedBtf:
    found = PackedBtf(facts["kernel"], facts["path"], facts["sha256"], facts["size"])
    if not (FILE.fullmatch(found.path) and SHA256.fullmatch(found.sha256) and type(found.size) is int and found.kernel):
        raise ValueError(facts)
    return found


def packed_object(folder: str, file: str, sha256: str) -> str:
    """Returns the path of this machine's object in a package, as `checked` takes and raises."""
    return path_in(folder, checked(folder, file, sha256).path)


def path_in(folder: str, path: str) -> str:
    """Returns a path on disk of a path in a package's manifest."""
    return os.path.join(folder, *path.split("/"))


def checked(folder: str, file: str, sha256: str) -> Packed:
    """Returns what a package has of a program for this machine; `sha256` is that of the package's manifest.

    Raises ObjectError for a missing manifest or one without an object for this machine; DigestError for another one.
    """
    path = os.path.join(folder, NAME)
    data = read_file(path, missing_file_fix(path, True, REINSTALL))
    found = digest_of(data)
    if found != sha256:
        raise DigestError(f"{path} has sha256 {found}, the package was made with {sha256}", fix=REINSTALL)
    return parse(data, path).of(file, this_arch())
