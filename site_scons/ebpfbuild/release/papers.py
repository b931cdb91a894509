"""Makes a release's papers: those inside of a wheel, and those beside a wheel or a tar.

What lies inside is the same on every machine: digests, and what pins, lock and package declare. It can't know the
wheel's own digest, so it speaks of the objects and of all files (SHA256SUMS). What lies beside speaks of the file
itself, and adds what this machine alone knows: its compiler's fingerprint, the source that served a header.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from ..python_lock import Lock, installed_otherwise, read_lock
from .materials import COMPILER, PACKAGE, VMLINUX, Declared, Material, materials
from .provenance import BuildDefinition, write_statement
from .sbom import Contents, ListedBtf, ListedLibrary, ListedObject, sbom
from .sums import SUMS, sha256, sums

SBOM_FOLDER = "sboms"  # of a wheel's .dist-info (PEP 770)
STATEMENT_ENDING, SBOM_ENDING, SUMS_ENDING = ".intoto.json", ".cdx.json", f".{SUMS}"
BESIDE = (STATEMENT_ENDING, SBOM_ENDING, SUMS_ENDING)
MANIFEST_NAME = "manifest.json"
LOADER = "bpfloader"


@dataclass(frozen=True)
class Facts:
    """What papers say beside digests: the same on every machine.

    `lock` is the path of requirements.lock, empty for none; `mode` the text of MINIMIZE= or nothing.
    """

    declared: Declared
    lock: str = ""
    mode: str = ""
    loader_version: str = ""


@dataclass(frozen=True)
class Observed:
    """What this machine alone knows of a build, for the papers beside.

    `sources` are the declared places that vmlinux.h came from, by arch; `builder` is the digest over the code of the
    build.
    """

    fingerprint: str = ""
    sources: Mapping[str, str] = field(default_factory=dict)
    builder: str = ""


class _Package(NamedTuple):
    """A package as its manifest has it."""

    name: str
    version: str
    objects: tuple[ListedObject, ...]
    arches: tuple[str, ...]
    headers: Mapping[str, str]
    compiler: str
    proven: bool
    btfs: tuple[ListedBtf, ...] = ()
    libraries: tuple[ListedLibrary, ...] = ()


class Papers:
    """The papers of one package, of its `manifest` (bytes), licence, facts, and the files of its loader by path."""

    def __init__(self, manifest: bytes, license: str, facts: Facts, loader: Mapping[str, bytes]):
        self._package, self._license, self._facts, self._loader = _parsed(manifest), license, facts, loader
        self._lock: Lock | None = read_lock(Path(facts.lock)) if facts.lock else None
        otherwise = installed_otherwise(self._lock) if self._lock else {}
        used, compiler = self._package.headers, self._package.compiler
        self._materials = materials(facts.declared, self._lock, otherwise, used, compiler)

    def inside(self, entries: Mapping[str, bytes]) -> dict[str, bytes]:
        """Returns the papers for a wheel's .dist-info by path below it; `entries` are all its files but RECORD."""
        info = next(path for path in entries if path.endswith(".dist-info/METADATA")).rpartition("/")[0]
        name = self._package.name
        bill, listing = f"{SBOM_FOLDER}/{name}{SBOM_ENDING}", f"{SBOM_FOLDER}/{SUMS}"
        made = {bill: sbom(self._contents(), self._materials)}
        digests = {path: sha256(data) for path, data in entries.items()}
        digests[f"{info}/{bill}"] = sha256(made[bill])
        made[listing] = sums(digests)
        subjects = {f"{name}/{each.path}": each.sha256 for each in self._package.objects}
        subjects |= {f"{name}/{each.path}": each.sha256 for each in self._package.btfs}
        subjects[f"{info}/{listing}"] = sha256(made[listing])
        made[f"{SBOM_FOLDER}/{name}{STATEMENT_ENDING}"] = write_statement(subjects, self._provenance(Observed()))
        return made

    def beside(self, file: str, data: bytes, observed: Observed) -> dict[str, bytes]:
        """Returns the papers of a wheel or a tar by their names beside it; `data` are its bytes."""
        digest = sha256(data)
        made = {
            f"{file}{STATEMENT_ENDING}": write_statement({file: digest}, self._provenance(observed)),
            f"{file}{SBOM_ENDING}": sbom(self._contents(digest), self._materials),
        }
        listed = {file: digest, **{name: sha256(paper) for name, paper in made.items()}}
        return {**made, f"{file}{SUMS_ENDING}": sums(listed)}

    def _contents(self, digest: str = "") -> Contents:
        return _contents(self._package, self._license, self._facts.loader_version, self._loader, digest)

    def _provenance(self, observed: Observed) -> BuildDefinition:
        declared, package = self._facts.declared, self._package
        external: dict[str, Any] = {"name": package.name, "version": package.version, "ARCH": list(package.arches)}
        external |= {"MINIMIZE": self._facts.mode} if self._facts.mode else {}
        external |= {"PROVE": True} if package.proven else {}
        internal = {"cpu": declared.cpu, "cflags": list(declared.cflags)} if declared.cpu else {}
        return BuildDefinition(external, internal, self._materials, self._notes(observed), observed.builder)

    def _notes(self, observed: Observed) -> dict[str, dict[str, Any]]:
        """Returns what this machine adds to inputs, by their names; nothing for the papers inside."""
        found: dict[str, dict[str, Any]] = {}
        for each in self._materials:
            if each.kind == COMPILER and observed.fingerprint:
                found[each.key] = {"fingerprint": observed.fingerprint}
            elif each.kind == VMLINUX and each.arch in observed.sources:
                found[each.key] = {"source": observed.sources[each.arch]}
            elif each.kind == PACKAGE and observed.builder:
                found[each.key] = self._accepted(each)
        return found

    def _accepted(self, each: Material) -> dict[str, Any]:
        """Returns the sha256 of each file that pip takes for a package: a machine has installed one of them."""
        package = self._lock.package(each.name) if self._lock else None
        return {"accepted": list(package.hashes)} if package and each.digest else {}


def contents_of(
    manifest: bytes, license: str, loader_version: str, loader: Mapping[str, bytes], digest: str = ""
) -> Contents:
    """Returns what a bill of materials says of a package with a manifest (bytes); `digest` is that of its file."""
    return _contents(_parsed(manifest), license, loader_version, loader, digest)


def _contents(
    package: _Package, license: str, loader_version: str, loader: Mapping[str, bytes], digest: str
) -> Contents:
    digests = sums({path: sha256(data) for path, data in loader.items()})
    version, of_loader = (loader_version, sha256(digests)) if loader else ("", "")
    objects, held = package.objects, (package.btfs, package.libraries)
    return Contents(package.name, package.version, license, objects, version, of_loader, digest, *held)


def _parsed(manifest: bytes) -> _Package:
    """Reads the manifest that this build has just written."""
    facts = json.loads(manifest)
    found: dict[str, dict[str, Any]] = {}
    headers: dict[str, str] = {}
    entries = [(arch, each) for by_arch in facts["programs"].values() for arch, each in sorted(by_arch.items())]
    for arch, each in entries:
        listed = found.setdefault(
            each["object"]["path"], {"arches": [], "headers": [], "uapi": False, **each["object"]}
        )
        listed["arches"].append(arch)
        listed["uapi"] |= "uapi" in each
        if "header" in each:
            headers[arch] = each["header"]["sha256"]
            listed["headers"].append(arch)
    objects = tuple(
        ListedObject(path, tuple(each["arches"]), each["sha256"], each["license"], tuple(each["headers"]), each["uapi"])
        for path, each in sorted(found.items())
    )
    arches = tuple(sorted({arch for arch, _ in entries}))
    compiler = next((each["compiler"]["fingerprint"] for _, each in entries if "compiler" in each), "")
    proven = any("proof" in each for _, each in entries)
    btfs = {
        row["path"]: ListedBtf(row["path"], row["sha256"], arch, row["source"])
        for arch, each in entries
        for row in each.get("btfs", ())
    }
    held = tuple(btfs[path] for path in sorted(btfs)), _libraries(facts)
    return _Package(facts["name"], facts["version"], objects, arches, headers, compiler, proven, *held)


def _libraries(facts: Mapping[str, Any]) -> tuple[ListedLibrary, ...]:
    """Returns the libraries of libbpf that a manifest lists, by arch."""
    entries = sorted(facts.get("libraries", {}).items())
    return tuple(ListedLibrary(each["path"], arch, each["sha256"], each["libbpf"]) for arch, each in entries)
