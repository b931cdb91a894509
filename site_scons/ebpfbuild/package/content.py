"""Puts together a wheel's and a tar's files: each program's objects and skeleton, the manifest, the loader, an app.

docs/package.md shows the layout.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from ..errors import PackageError
from ..spec.object import ObjectSpec
from .init import init
from .libraries import MODULE, PackedLibrary, module_text
from .manifest import MANIFEST_NAME, PackedBtf, PackedObject, Provenance, manifest_json
from .programs import stem_of
from .skeleton import PackedSkeleton


@dataclass(frozen=True)
class Package:
    """A package: the files of its wheel below the package's folder, and those of its tar, by path.

    `links` are the tar's hard links: objects that are the same as another arch's.
    """

    wheel: Mapping[str, bytes]
    tar: Mapping[str, bytes]
    links: Mapping[str, str]


class KernelBtf(NamedTuple):
    """An object's minimal BTF for the kernel that toolchain.toml calls `name`; else as PackedBtf's."""

    name: str
    kernel: str
    source: str
    data: bytes


@dataclass(frozen=True)
class PackedProgram:
    """A program of a package: its objects' file name, by arch their bytes, provenance and BTFs, its skeleton."""

    file: str
    objects: Mapping[str, bytes]
    skeleton: PackedSkeleton
    provenance: Mapping[str, Provenance]
    btfs: Mapping[str, Sequence[KernelBtf]] = field(default_factory=dict)


@dataclass(frozen=True)
class PackageContent:
    """The parts of a package: its programs; the app's and the loader's files; C skeletons: all by path.

    `libraries` are those of libbpf that a wheel carries, by arch.
    """

    programs: Sequence[PackedProgram]
    app: Mapping[str, bytes]
    loader: Mapping[str, bytes]
    c_skeletons: Mapping[str, bytes]
    libraries: Mapping[str, PackedLibrary] = field(default_factory=dict)

    @property
    def arches(self) -> list[str]:
        """All that its objects are for."""
        return sorted({arch for program in self.programs for arch in program.objects})


def package(name: str, version: str, parts: PackageContent, summary: str = "") -> Package:
    """Puts the parts of a package together. Raises PackageError for parts that don't fit, ElfError, BtfError."""
    packed = _packed(parts.programs)
    for program in parts.programs:
        program.skeleton.check(program.file, program.objects)
    libraries = {arch: library.facts(arch) for arch, library in sorted(parts.libraries.items())}
    facts = manifest_json(name, version, packed, libraries)
    placed = {f"{arch}/{file}": each for file, by_arch in packed.items() for arch, each in by_arch.items()}
    objects = {each.path: each.data for each in placed.values()}
    objects |= {btf.path: btf.data for each in placed.values() for btf in each.btfs}
    own = {MANIFEST_NAME: facts, "py.typed": b"", **objects}
    for program in parts.programs:
        own |= program.skeleton.files(hashlib.sha256(facts).hexdigest())
    if libraries:
        own |= {libraries[arch]["path"]: library.data for arch, library in parts.libraries.items()}
        own[MODULE] = module_text(libraries)
    own |= {f"bpfloader/{path}": data for path, data in parts.loader.items()}
    return Package(
        wheel=_with_app(own, parts.app, init([each.skeleton for each in parts.programs], name, summary or name)),
        tar={MANIFEST_NAME: facts, **objects, **parts.c_skeletons},
        links={place: each.path for place, each in placed.items() if place != each.path},
    )


def _packed(programs: Iterable[PackedProgram]) -> dict[str, dict[str, PackedObject]]:
    """Returns the objects by file and arch. Equal ones share a path: check-wheel-contents wants no file twice."""
    places: dict[bytes, str] = {}
    packed: dict[str, dict[str, PackedObject]] = {}
    for program in programs:
        for arch, data in sorted(program.objects.items()):
            path = places.setdefault(data, f"{arch}/{program.file}")
            license = ObjectSpec.from_bytes(data, program.file).license
            provenance = program.provenance.get(arch, Provenance())
            btfs = tuple(_packed_btf(each, arch, program.file, places) for each in sorted(program.btfs.get(arch, ())))
            packed.setdefault(program.file, {})[arch] = PackedObject(path, data, license or "", provenance, btfs)
    return packed


def _packed_btf(each: KernelBtf, arch: str, file: str, places: dict[bytes, str]) -> PackedBtf:
    path = places.setdefault(each.data, f"{arch}/btf/{each.name}/{stem_of(file)}.btf")
    return PackedBtf(path, each.data, each.kernel, each.source)


def _with_app(own: Mapping[str, bytes], app: Mapping[str, bytes], init: bytes) -> dict[str, bytes]:
    taken = own.keys() | {path.partition("/")[0] for path in own if "/" in path}
    for path in sorted(app):
        if path != "py.typed" and (path in taken or path.partition("/")[0] in taken):
            what = f"{path} is in the place of what the package itself holds"
            raise PackageError(what, where="app", fix="rename it")
    return {"__init__.py": init, **app, **own}


MARKUPS = {".md": "text/markdown", ".rst": "text/x-rst", ".txt": "text/plain"}


class Description(NamedTuple):
    """A package's description and its MIME type."""

    text: str
    markup: str


def description(readme: Path) -> Description:
    """Reads a README. Raises PackageError for one that no index can show, OSError."""
    if readme.suffix not in MARKUPS:
        what = f"{readme.name} is neither Markdown, reStructuredText nor plain text"
        raise PackageError(what, where="readme", fix=f"call it README{' or README'.join(MARKUPS)}")
    try:
        return Description(readme.read_text(encoding="utf-8"), MARKUPS[readme.suffix])
    except UnicodeDecodeError:
        raise PackageError(f"{readme.name} is not UTF-8", where="readme", fix="save it as UTF-8") from None


def default_description(name: str, skeletons: Sequence[str], summary: str, arches: Iterable[str]) -> str:
    """Returns a description for a program without a README, in Markdown: an index wants one."""
    lines = re.sub(r"([\\`*_<>\[\]])", r"\\\1", summary) or "A BPF program."
    return f"""# {name}

{lines}

For Linux on {", ".join(sorted(arches))}, with `libbpf.so.1`.
Loading it wants root, or CAP_BPF and what its programs need.

```python
from {name} import {", ".join(skeletons)}

with {skeletons[0]}.open() as bpf:  # this machine's object, its digest checked
    bpf.load()
    bpf.attach()
```
"""
