"""What goes into a program's wheel: its app, the loader, and for each arch the object and its skeleton."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from .errors import PackageError

# The one line by which a generated skeleton finds its loader. In a wheel the loader lies inside the package, so that two
# programs' wheels, each with the loader that it was built with, can be installed side by side.
_IMPORT = re.compile(r"^import bpfloader$", re.MULTILINE)
_VENDORED = "from .. import bpfloader"

_DEFAULT_INIT = '''"""{name}: a BPF program for {arches}. `skeleton()` gives the module of this machine's arch."""

from .bpfloader import skeleton_module


def skeleton():
    """The generated skeleton for this machine. Raises an error naming the arches that this package holds."""
    return skeleton_module(__name__)
'''


@dataclass(frozen=True)
class ArchFiles:
    """What one arch adds: the object's file name and bytes, the skeleton's file name and text."""

    object_name: str
    object_data: bytes
    skeleton_name: str
    skeleton_text: str


def package_files(
    name: str, app: Mapping[str, bytes], loader: Mapping[str, bytes], arches: Mapping[str, ArchFiles]
) -> dict[str, bytes]:
    """The wheel's files, path to bytes. `app` and `loader` map paths below the package to bytes. Raises PackageError."""
    files = {f"{name}/{path}": data for path, data in app.items()}
    files.setdefault(f"{name}/__init__.py", _DEFAULT_INIT.format(name=name, arches=", ".join(sorted(arches))).encode())
    files |= {f"{name}/bpfloader/{path}": data for path, data in loader.items()}
    for arch, made in sorted(arches.items()):
        files[f"{name}/{arch}/__init__.py"] = f'"""The object and skeleton of {name} for {arch}."""\n'.encode()
        files[f"{name}/{arch}/{made.object_name}"] = made.object_data
        files[f"{name}/{arch}/{made.skeleton_name}"] = vendored(made.skeleton_text, made.skeleton_name).encode()
    return files


def arch_files(built: Iterable[Path]) -> dict[str, ArchFiles]:
    """Objects and skeletons, by the arch whose folder they lie in.

    Raises OSError, and PackageError unless there is one pair for each arch.
    """
    built = sorted(built)
    objects, skeletons = (_by_arch(path for path in built if path.suffix == suffix) for suffix in (".o", ".py"))
    if odd := sorted(objects.keys() ^ skeletons.keys()):
        what, fix = f"got an object or a skeleton for {odd[0]}, not both", "hand it what BpfObject and BpfSkeleton gave"
        raise PackageError(what, where="BpfPackage", fix=fix)
    return {
        arch: ArchFiles(path.name, path.read_bytes(), skeletons[arch].name, skeletons[arch].read_text(encoding="utf-8"))
        for arch, path in objects.items()
    }


def _by_arch(paths: Iterable[Path]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in paths:
        other = found.setdefault(path.parent.name, path)
        if other != path:
            what = f"holds {other.name} and {path.name} for {path.parent.name}"
            raise PackageError(what, where="BpfPackage", fix="make a package for each program")
    return found


def vendored(skeleton: str, name: str) -> str:
    """A skeleton's text with its loader taken from the package that it lies in. Raises PackageError."""
    text, count = _IMPORT.subn(_VENDORED, skeleton)
    if count != 1:
        raise PackageError("is no skeleton made by this build: it does not import bpfloader once", where=name, fix="build it with BpfSkeleton")
    return text
