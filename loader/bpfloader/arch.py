"""Names this machine's arch and finds its object."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection

from .errors import ObjectError

# `uname -m` where it differs from the folder's name; folders have the names of those of libbpf/vmlinux.h.
FOLDERS = {"ppc64le": "powerpc", "arm64": "aarch64"}


def folder_of(machine: str) -> str:
    """Returns the folder of a package's files for a machine, by the machine's `uname -m`."""
    if machine == "mips64" and sys.byteorder == "little":
        return "mips64el"
    if machine.startswith("armv"):
        return "armeb" if machine.endswith("b") else "arm"
    return FOLDERS.get(machine, machine)


def this_arch() -> str:
    """Returns the name of this machine's arch, as skeletons and folders spell it."""
    return folder_of(os.uname().machine)


def arch_among(*arches: str) -> str:
    """Returns this machine's arch if it is one of these, else the first: a skeleton can be imported anywhere."""
    here = this_arch()
    return here if here in arches else arches[0]


def object_path(folder: str, file: str, arches: Collection[str]) -> str:
    """Returns the path of this machine's object: beside its skeleton in `folder`, or in a subfolder named as the arch.

    Only a skeleton for a single arch has its object beside it.
    """
    beside = os.path.join(folder, file)
    if len(arches) == 1 and os.path.exists(beside):
        return beside
    below = os.path.join(folder, this_arch(), file)
    return below if len(arches) > 1 or os.path.exists(below) else beside


def require_arch(file: str, arches: Collection[str]) -> None:
    """Raises ObjectError unless this machine's arch is among those that an object was compiled for."""
    here = this_arch()
    if here not in arches:
        held = ", ".join(sorted(arches))
        raise ObjectError(f"{file} was compiled for {held}, this machine is {here}", fix=f"build it with ARCH={here}")
