"""Which skeleton of a package fits this machine."""

from __future__ import annotations

import importlib
import importlib.util
import platform
from pathlib import Path
from types import ModuleType

from .errors import ObjectError

# Where `uname -m` differs from the folder's name; the folders are named as libbpf/vmlinux.h names its own.
FOLDERS = {"ppc64le": "powerpc", "ppc64": "powerpc", "arm64": "aarch64"}


def folder_of(machine: str) -> str:
    """The folder that holds a package's files for a machine, by what `uname -m` prints there."""
    return "arm" if machine.startswith("armv") else FOLDERS.get(machine, machine)


def skeleton_module(package: str) -> ModuleType:
    """The generated skeleton in `package` for this machine, `<package>.<arch>.<package>_skel`.

    Raises ObjectError naming the arches that the package holds.
    """
    arch, module = folder_of(platform.machine()), f"{package.rpartition('.')[2]}_skel"
    spec = importlib.util.find_spec(package)
    folders = [Path(place) for place in (spec.submodule_search_locations if spec else None) or ()]
    held = sorted(path.parent.name for folder in folders for path in folder.glob(f"*/{module}.py"))
    if arch not in held:
        fix = f"it holds {', '.join(held) or 'none'}: build it with ARCH={arch}"
        raise ObjectError(f"the package {package} has no object for this machine ({arch})", fix=fix)
    return importlib.import_module(f"{package}.{arch}.{module}")
