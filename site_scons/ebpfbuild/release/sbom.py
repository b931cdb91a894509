"""Writes CycloneDX 1.6 bills of materials: what a package holds, what went into its objects, what made them.

Source: cyclonedx.org/schema/bom-1.6.schema.json. The serial number is derived from all else that the document says, so
equal packages have equal documents.
"""

import uuid
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from ..bundle.licenses import SPDX
from .materials import BUNDLED, COMPILER, KERNEL, LIBBPF, LINKER, LOCKED, PACKAGE, UAPI, VMLINUX, Material
from .provenance import to_json
from .sums import sha256

NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "urn:scons-bpf:sbom:1")
PROPERTY = "scons-bpf"
LIBBPF_LICENSE = "LGPL-2.1-only OR BSD-2-Clause"  # of each of its headers for BPF programs
LOADER_LICENSE = "BSD-2-Clause"
_TITLES = {LIBBPF: "libbpf", UAPI: "linux-uapi-headers", VMLINUX: "vmlinux.h", KERNEL: "linux-btf"}


class ListedObject(NamedTuple):
    """An object of a package: its path in it, its arches, its sha256, and the text of its license section.

    `headers` are those of its arches whose vmlinux.h it was made with; `uapi` tells if it has UAPI headers in sight.
    """

    path: str
    arches: tuple[str, ...]
    sha256: str
    license: str
    headers: tuple[str, ...] = ()
    uapi: bool = False


class ListedBtf(NamedTuple):
    """A minimal BTF of a package: its path in it, its sha256, its arch, and the sha256 of the kernel's file."""

    path: str
    sha256: str
    arch: str
    source: str


class ListedLibrary(NamedTuple):
    """A library of a package: its path in it, its arch, its sha256, the version of libbpf."""

    path: str
    arch: str
    sha256: str
    version: str


class Contents(NamedTuple):
    """A package: name, version, SPDX licence or nothing, its objects; the loader's version and digest (dirHash).

    `sha256` is that of its file, empty in the document that lies in it. `btfs` are for kernels without BTF.
    """

    name: str
    version: str
    license: str
    objects: tuple[ListedObject, ...]
    loader_version: str = ""
    loader_digest: str = ""
    sha256: str = ""
    btfs: tuple[ListedBtf, ...] = ()
    libraries: tuple[ListedLibrary, ...] = ()


def sbom(contents: Contents, inputs: Iterable[Material]) -> bytes:
    """Returns the bytes of a package's bill of materials: JSON with sorted keys."""
    inputs = list(inputs)
    objects = [_object(each) for each in contents.objects]
    libraries = [_library(each) for each in contents.libraries]
    parts = [*objects, *map(_btf, contents.btfs), *libraries, *([_loader(contents)] if contents.loader_digest else [])]
    parts += [_input(each) for each in inputs if each.kind in _TITLES or each.kind == BUNDLED]
    package = _package(contents)
    depends = [{"ref": package["bom-ref"], "dependsOn": [part["bom-ref"] for part in parts if _is_held(part)]}]
    depends += [
        {"ref": listed["bom-ref"], "dependsOn": _needed(each, inputs)}
        for each, listed in zip(contents.objects, objects)
    ]
    depends += [
        {"ref": f"btf:{each.path}", "dependsOn": [_reference(one) for one in inputs if _is_of(one, each)]}
        for each in contents.btfs
    ]
    archives = [_reference(each) for each in inputs if each.kind == BUNDLED]
    depends += [{"ref": each["bom-ref"], "dependsOn": archives} for each in libraries]
    facts = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": package, "tools": {"components": [_tool(each) for each in _tools(inputs)]}},
        "components": parts,
        "dependencies": depends,
    }
    return to_json({**facts, "serialNumber": serial_number(facts)})


def serial_number(facts: Mapping[str, Any]) -> str:
    """Returns the serial number of a document, of which its own, if it has one, is left out."""
    rest = {key: value for key, value in facts.items() if key != "serialNumber"}
    return f"urn:uuid:{uuid.uuid5(NAMESPACE, sha256(to_json(rest)))}"


def _package(contents: Contents) -> dict[str, Any]:
    facts = {
        "type": "library",
        "bom-ref": "package",
        "name": contents.name,
        "version": contents.version,
        "purl": f"pkg:pypi/{contents.name.replace('_', '-').lower()}@{contents.version.replace('+', '%2B')}",
    }
    return facts | _expression(contents.license) | _hash(contents.sha256)


def _object(each: ListedObject) -> dict[str, Any]:
    # The kernel's words ("GPL", "Dual BSD/GPL") are no SPDX names.
    declared = {"licenses": [{"license": {"name": each.license}}]} if each.license else {}
    arches = [{"name": f"{PROPERTY}:arch", "value": arch} for arch in each.arches]
    return {
        "type": "file", "bom-ref": f"object:{each.path}", "name": each.path, **_hash(each.sha256), **declared,
        "properties": arches,
    }  # fmt: skip


def _btf(each: ListedBtf) -> dict[str, Any]:
    arch = [{"name": f"{PROPERTY}:arch", "value": each.arch}]
    return {
        "type": "file", "bom-ref": f"btf:{each.path}", "name": each.path, **_hash(each.sha256), "properties": arch,
    }  # fmt: skip


def _is_of(each: Material, btf: ListedBtf) -> bool:
    return each.kind == KERNEL and each.digest.get("sha256") == btf.source


def _loader(contents: Contents) -> dict[str, Any]:
    version = {"version": contents.loader_version} if contents.loader_version else {}
    digest = [{"name": f"{PROPERTY}:dirHash", "value": contents.loader_digest}]
    return {
        "type": "library", "bom-ref": "bpfloader", "name": "bpfloader", **version, **_expression(LOADER_LICENSE),
        "properties": digest,
    }  # fmt: skip


def _library(each: ListedLibrary) -> dict[str, Any]:
    return {
        "type": "file", "bom-ref": f"library:{each.path}", "name": each.path, "version": each.version,
        **_hash(each.sha256), **_expression(" AND ".join(f"({license})" for license in SPDX.values())),
        "properties": [{"name": f"{PROPERTY}:arch", "value": each.arch}],
    }  # fmt: skip


def _input(each: Material) -> dict[str, Any]:
    name = each.key.rpartition(".")[2] if each.kind == BUNDLED else _TITLES[each.kind]
    facts: dict[str, Any] = {
        "type": "library", "bom-ref": _reference(each), "name": name, "version": each.version,
        # libbpf's helpers are compiled in, and what is bundled is; of the kernel's headers a program has only the
        # layouts that it uses.
        "scope": "required" if each.kind in (LIBBPF, BUNDLED) else "excluded",
        "externalReferences": [{"type": "distribution", "url": each.uri}],
    }  # fmt: skip
    facts |= {"purl": facts.pop("externalReferences")[0]["url"]} if each.uri.startswith("pkg:") else {}
    facts |= _expression(LIBBPF_LICENSE if each.kind == LIBBPF else SPDX.get(name, "") if each.kind == BUNDLED else "")
    facts |= _hash(each.digest.get("sha256", ""))
    words = {f"{PROPERTY}:dirHash": each.digest.get("dirHash", ""), f"{PROPERTY}:arch": each.arch}
    properties = [{"name": name, "value": value} for name, value in words.items() if value]
    return facts | ({"properties": properties} if properties else {})


def _tools(inputs: Iterable[Material]) -> list[Material]:
    return [each for each in inputs if each.kind in (COMPILER, LINKER, PACKAGE)]


def _tool(each: Material) -> dict[str, Any]:
    kind = "application" if each.kind == COMPILER else "library"
    reference = {"purl": each.uri} if each.uri.startswith("pkg:") else {}
    return {"type": kind, "bom-ref": _reference(each), "name": each.name, "version": each.version, **reference}


def _needed(listed: ListedObject, inputs: Iterable[Material]) -> list[str]:
    """Returns the references of the headers that an object is made with."""
    kinds = (LIBBPF, UAPI) if listed.uapi else (LIBBPF,)
    headers = [each for each in inputs if each.kind in kinds or (each.kind == VMLINUX and each.arch in listed.headers)]
    return [_reference(each) for each in headers]


def _is_held(part: Mapping[str, Any]) -> bool:
    """Returns True if the package itself has a part: an object or the loader."""
    return bool(part["type"] == "file" or part["bom-ref"] == "bpfloader")


def _reference(each: Material) -> str:
    assert each.kind != LOCKED
    return f"{each.kind}:{each.name}"


def _expression(license: str) -> dict[str, Any]:
    return {"licenses": [{"expression": license}]} if license else {}


def _hash(digest: str) -> dict[str, Any]:
    return {"hashes": [{"alg": "SHA-256", "content": digest}]} if digest else {}
