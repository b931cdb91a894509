"""Finds the BTF that a package holds for this kernel, where the kernel itself has none."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NamedTuple

from ..arch import this_arch
from ..errors import REINSTALL, DigestError
from ..files import missing_file_fix, read_file
from ..sha256 import sha256
from .manifest import NAME, checked, parse, path_in

MAX_SIZE = 16 << 20  # bytes; a minimal BTF has a few thousand, a kernel's whole one 6 MB


class StandIn(NamedTuple):
    """The BTF of a package that stands in for the kernel's own: its path there, for which kernels it is, its bytes."""

    path: str
    kernel: str
    data: bytes


class NoStandIn(NamedTuple):
    """What there is instead: the kernels that a package has BTF for."""

    kernels: tuple[str, ...]


def kernel_btf(folder: str, file: str, manifest: str) -> StandIn | NoStandIn:
    """Returns a program's BTF for this kernel out of the package in a folder, whose manifest has the sha256 `manifest`.

    Raises ObjectError and DigestError as an object's own file does.
    """
    packed = checked(folder, file, manifest)
    found = packed.btf_for(os.uname().release)
    if found is None:
        return NoStandIn(tuple(dict.fromkeys(each.kernel for each in packed.btfs)))
    path = path_in(folder, found.path)
    data = read_file(path, missing_file_fix(path, True, REINSTALL), MAX_SIZE)
    if (digest := sha256(data)) != found.sha256:
        raise DigestError(f"{path} has sha256 {digest}, its manifest says {found.sha256}", fix=REINSTALL)
    return StandIn(found.path, found.kernel, data)


def own_package() -> str:
    """Returns the folder of the package that this loader lies in; empty for a loader by itself."""
    folder = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    return folder if __name__.count(".") > 2 else ""


def fitting(folder: str) -> Iterator[str]:
    """Yields the paths of the BTFs in a package that are for this kernel. Raises ObjectError."""
    path, arch = os.path.join(folder, NAME), this_arch()
    for name, packed in parse(read_file(path, REINSTALL), path).packed():
        btf = packed.btf_for(os.uname().release) if name == arch else None
        if btf:
            yield btf.path
