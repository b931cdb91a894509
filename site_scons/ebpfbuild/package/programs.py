"""Sorts the objects and skeletons of a package into programs: by their paths, before they are made."""

from collections.abc import Iterable
from pathlib import PurePath
from typing import NamedTuple

from ..errors import PackageError
from ..skeleton.names import module_name

SKELETON_FIX = "hand BpfPackage what BpfSkeleton gave for the objects of all arches together"


class SkeletonFiles(NamedTuple):
    """The paths of a skeleton's module and stub."""

    module: str
    stub: str


class ProgramFiles(NamedTuple):
    """The paths of a program's objects, by arch, and of its skeleton; `file` is the objects' name."""

    file: str
    objects: dict[str, str]
    skeleton: SkeletonFiles


def stem_of(file: str) -> str:
    """Returns an object's file name without its ending: `foo` for foo.bpf.o."""
    return file.removesuffix(".o").removesuffix(".bpf")


def programs_of(objects: Iterable[str], skeletons: Iterable[str]) -> list[ProgramFiles]:
    """Returns the programs, by name. Objects lie in folders named after their arches.

    Raises PackageError for what is missing or given twice, and for a skeleton of another program.
    """
    found: dict[str, dict[str, str]] = {}
    for path in sorted(objects):
        *_, arch, file = PurePath(path).parts
        if found.setdefault(file, {}).setdefault(arch, path) != path:
            _refuse(f"got two objects {file} for {arch}", "hand it one for each arch")
    if not found:
        _refuse("got no object", "hand it what BpfObject gave")
    modules: dict[str, str] = {}
    for path in sorted(skeletons):
        name = PurePath(path).name
        if modules.setdefault(name, path) != path:
            _refuse(f"got two skeletons {name}", SKELETON_FIX)
    programs = [_program(file, found[file], modules) for file in sorted(found)]
    if modules:
        fix = "hand it the objects that BpfSkeleton was handed"
        _refuse(f"got {min(modules)}, and no object that it was made for", fix)
    return programs


def _program(file: str, objects: dict[str, str], modules: dict[str, str]) -> ProgramFiles:
    """Returns a program's files; its skeleton's are taken out of `modules`."""
    name = module_name(stem_of(file))
    module, stub = (modules.pop(f"{name}{ending}", "") for ending in (".py", ".pyi"))
    if not (module and stub):
        _refuse(f"got no skeleton {name} for {file}", SKELETON_FIX)
    return ProgramFiles(file, objects, SkeletonFiles(module, stub))


def _refuse(what: str, fix: str) -> None:
    raise PackageError(what, where="BpfPackage", fix=fix)
