"""Which arch this machine is, and where its object lies."""

from __future__ import annotations

import os
from collections.abc import Collection

from .errors import ObjectError

# Where `uname -m` differs from the folder's name; the folders are named as libbpf/vmlinux.h names its own.
FOLDERS = {"ppc64le": "powerpc", "ppc64": "powerpc", "arm64": "aarch64"}


def folder_of(machine: str) -> str:
    """The folder that holds a package's files for a machine, by what `uname -m` prints there."""
    return "arm" if machine.startswith("armv") else FOLDERS.get(machine, machine)


def this_arch() -> str:
    """The name of this machine's arch, as skeletons and folders spell it."""
    return folder_of(os.uname().machine)


def arch_among(*arches: str) -> str:
    """This machine's arch if it is one of these, else the first: a skeleton can be imported anywhere."""
    here = this_arch()
    return here if here in arches else arches[0]


def object_path(folder: str, file: str, arches: Collection[str]) -> str:
    """Where the object for this machine lies: beside its skeleton in `folder`, or there in a folder named as the arch.

    Only the object of a skeleton for one arch lies beside it.
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
