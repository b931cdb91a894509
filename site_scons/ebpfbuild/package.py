"""What goes into a program's wheel and tar: objects of all arches, their manifest, one skeleton, the loader, an app.

docs/package.md shows the layout.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from .errors import PackageError
from .manifest import NAME as MANIFEST
from .manifest import Made, PackedObject, manifest
from .objectspec import BpfObjectSpec
from .packedskel import PackedSkeleton

OTHER = "make a package for each program"


@dataclass(frozen=True)
class Package:
    """A program's package: the files of its wheel below the package's folder, and those of its tar, by path.

    `links` are the tar's hard links: objects that are the same as another arch's.
    """

    wheel: Mapping[str, bytes]
    tar: Mapping[str, bytes]
    links: Mapping[str, str]


@dataclass(frozen=True)
class Parts:
    """What a package is made of: an object's bytes by arch, what each was `made` with, C skeletons by arch and file
    name; the skeleton; the app's and the loader's files by path."""

    objects: Mapping[str, bytes]
    object_name: str
    skeleton: PackedSkeleton
    app: Mapping[str, bytes]
    loader: Mapping[str, bytes]
    made: Mapping[str, Made]
    c_skeletons: Mapping[str, bytes]


def package(name: str, version: str, parts: Parts, summary: str = "") -> Package:
    """The package of a program. Raises PackageError for parts that don't belong together, ElfError, BtfError."""
    packed = _packed(parts)
    parts.skeleton.check(parts.object_name, parts.objects)
    facts = manifest(name, version, packed)
    objects = {each.path: each.data for each in packed.values()}
    own = {MANIFEST: facts, "py.typed": b"", **objects}
    own |= parts.skeleton.files(f"{name}_skel", hashlib.sha256(facts).hexdigest())
    own |= {f"bpfloader/{path}": data for path, data in parts.loader.items()}
    places = {f"{arch}/{parts.object_name}": each.path for arch, each in packed.items()}
    return Package(
        wheel=_with_app(own, parts.app, parts.skeleton.init(name, summary or name)),
        tar={MANIFEST: facts, **objects, **parts.c_skeletons},
        links={place: path for place, path in places.items() if place != path},
    )


def _packed(parts: Parts) -> dict[str, PackedObject]:
    """The objects by arch. One with the bytes of another shares its path: check-wheel-contents wants no file twice."""
    places: dict[bytes, str] = {}
    packed = {}
    for arch, data in sorted(parts.objects.items()):
        path = places.setdefault(data, f"{arch}/{parts.object_name}")
        license = BpfObjectSpec.from_bytes(data, parts.object_name).license
        packed[arch] = PackedObject(path, data, license or "", parts.made.get(arch, Made()))
    return packed


def _with_app(own: Mapping[str, bytes], app: Mapping[str, bytes], init: bytes) -> dict[str, bytes]:
    taken = own.keys() | {path.partition("/")[0] for path in own if "/" in path}
    for path in sorted(app):
        if path != "py.typed" and (path in taken or path.partition("/")[0] in taken):
            what = f"{path} is in the place of what the package itself holds"
            raise PackageError(what, where="app", fix="rename it")
    return {"__init__.py": init, **app, **own}


def objects_by_arch(paths: Iterable[Path]) -> tuple[str, dict[str, bytes]]:
    """The name of the objects and their bytes by the arch whose folder they lie in.

    Raises OSError, and PackageError for objects of several programs, or none.
    """
    found: dict[str, Path] = {}
    for path in sorted(paths):
        other = found.setdefault(path.parent.name, path)
        if other != path:
            what = f"holds {other.name} and {path.name} for {path.parent.name}"
            raise PackageError(what, where="BpfPackage", fix=OTHER)
    names = sorted({path.name for path in found.values()})
    if len(names) != 1:
        what = f"got objects of several programs, {' and '.join(names)}" if names else "got no object"
        raise PackageError(what, where="BpfPackage", fix=OTHER if names else "hand it what BpfObject gave")
    return names[0], {arch: path.read_bytes() for arch, path in found.items()}


MARKUPS = {".md": "text/markdown", ".rst": "text/x-rst", ".txt": "text/plain"}


def description(readme: Path) -> tuple[str, str]:
    """A README's text and its MIME type. Raises PackageError for one that no index can show, OSError."""
    if readme.suffix not in MARKUPS:
        what = f"{readme.name} is neither Markdown, reStructuredText nor plain text"
        raise PackageError(what, where="readme", fix=f"call it README{' or README'.join(MARKUPS)}")
    try:
        return readme.read_text(encoding="utf-8"), MARKUPS[readme.suffix]
    except UnicodeDecodeError:
        raise PackageError(f"{readme.name} is not UTF-8", where="readme", fix="save it as UTF-8") from None


def default_description(name: str, skeleton: str, summary: str, arches: Iterable[str]) -> str:
    """A description for a program without a README, in Markdown: an index wants one."""
    lines = re.sub(r"([\\`*_<>\[\]])", r"\\\1", summary) or "A BPF program."
    return f"""# {name}

{lines}

For Linux on {", ".join(sorted(arches))}, with `libbpf.so.1`.
Loading it wants root, or CAP_BPF and what its programs need.

```python
from {name} import {skeleton}

with {skeleton}.open() as bpf:  # this machine's object, its digest checked
    bpf.load()
    bpf.attach()
```
"""
