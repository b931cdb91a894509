"""Writes a package's manifest.json: each program's objects, and their provenance.

bpfloader/package/manifest.py reads it. docs/package.md is its reference. It holds digests and names, no path, time or
user of the build: the same inputs give the same bytes. What isn't known of an object (its header, where somebody else
compiled it) is left out.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MANIFEST_NAME = "manifest.json"
MANIFEST_FORMAT = 1


@dataclass(frozen=True)
class Provenance:
    """The inputs and the proof of an object, each as the manifest has it; None where there is none or nobody knows.

    `header` has kernel, sha256 and alternate; `compiler` version and fingerprint; `libbpf`, its headers, version and
    sha256; `uapi` kernel and sha256; `linker`, of several sources only, libbpf's version and sha256; `proof` mode,
    equal and differences.
    """

    header: Mapping[str, Any] | None = None
    compiler: Mapping[str, Any] | None = None
    proof: Mapping[str, Any] | None = None
    linker: Mapping[str, Any] | None = None
    libbpf: Mapping[str, Any] | None = None
    uapi: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class PackedBtf:
    """An object's minimal BTF for a kernel without BTF: its path below the package, and its bytes.

    `kernel` is what `uname -r` says there, `*` standing for any text; `source` the sha256 of the file that the kernel's
    whole BTF came from.
    """

    path: str
    data: bytes
    kernel: str
    source: str


@dataclass(frozen=True)
class PackedObject:
    """An arch's object: its path below the package, its bytes, the licence that it declares, and its provenance.

    `btfs` are for kernels without BTF.
    """

    path: str
    data: bytes
    license: str
    provenance: Provenance = Provenance()
    btfs: tuple[PackedBtf, ...] = ()


def manifest_json(
    name: str,
    version: str,
    programs: Mapping[str, Mapping[str, PackedObject]],
    libraries: Mapping[str, Mapping[str, Any]] | None = None,
) -> bytes:
    """Returns the bytes of the manifest of a package: each program's objects, by their file name and by arch.

    `libraries` are the entries of the libbpf that a wheel carries, by arch.
    """
    facts: dict[str, Any] = {
        "format": MANIFEST_FORMAT,
        "name": name,
        "programs": {
            file: {arch: _facts(packed) for arch, packed in objects.items()} for file, objects in programs.items()
        },
        "version": version,
    }
    facts |= {"libraries": libraries} if libraries else {}
    return (json.dumps(facts, indent=1, sort_keys=True) + "\n").encode()


def _facts(packed: PackedObject) -> dict[str, Any]:
    facts: dict[str, Any] = {"object": {"license": packed.license, **_file_facts(packed)}}
    if packed.btfs:
        facts["btfs"] = [{"kernel": each.kernel, "source": each.source, **_file_facts(each)} for each in packed.btfs]
    made = {key: getattr(packed.provenance, key) for key in ("header", "compiler", "libbpf", "uapi", "linker", "proof")}
    return facts | {key: dict(value) for key, value in made.items() if value is not None}


def _file_facts(packed: PackedObject | PackedBtf) -> dict[str, Any]:
    return {"path": packed.path, "sha256": hashlib.sha256(packed.data).hexdigest(), "size": len(packed.data)}
