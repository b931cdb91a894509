"""The shared libraries of libbpf's linker for this machine, and the C library that they run with."""

import os
from collections.abc import Callable
from typing import NamedTuple

from ..arch import host_arch
from ..errors import ArchError, LinkError
from ..host_tools import Runner
from ..pins.pins import LinkerPin, TreePin

PROGRAM_LOADER = "ld-"  # how the name of a C library's program loader begins: ld-linux-x86-64.so.2


class LinkerLibraries(NamedTuple):
    """The pins that this machine needs: libraries in the order of loading, and a C library unless its own will do."""

    libraries: tuple[TreePin, ...]
    c_library: TreePin | None


class Linker(NamedTuple):
    """A linker in place, by the paths of its libraries in the order in which they are loaded.

    `program_loader` is that of a C library of its own, empty where the machine's C library will do. `scratch` is
    the folder in which it works, that of temporary files unless given; `sandbox` is where it runs.
    """

    libraries: tuple[str, ...]
    program_loader: str = ""
    scratch: str = ""
    sandbox: Runner | None = None


def libraries_for(pin: LinkerPin, machine: str, glibc: tuple[int, ...]) -> LinkerLibraries:
    """Returns the pins for a machine by what `uname -m` prints and the version of its glibc, () for another C library.

    Raises LinkError where none is pinned for it.
    """
    try:
        arch = host_arch(machine).name
    except ArchError:
        arch = machine
    if not pin.libraries.get(arch):
        pinned = ", ".join(pin.libraries) or "no arch"
        fix = f"add tables [linker.{arch}.…] as those of another arch, or build on one of those pinned: {pinned}"
        raise LinkError(f"libbpf's linker is not pinned for this machine, {machine}", where=pin.where, fix=fix)
    if not glibc:
        fix = "build where there is glibc, such as in a container of Debian's"
        raise LinkError(
            "libbpf's linker needs glibc, and this machine's C library is another one", where=pin.where, fix=fix
        )
    if glibc >= pin.glibc:
        return LinkerLibraries(pin.libraries[arch], None)
    if arch not in pin.c_library:
        wanted, has = (".".join(map(str, version)) for version in (pin.glibc, glibc))
        what = f"libbpf's linker needs glibc {wanted}, this machine has {has}, and no other is pinned"
        raise LinkError(what, where=pin.where, fix=f"add a table [linker.{arch}.glibc]")
    return LinkerLibraries(pin.libraries[arch], pin.c_library[arch])


class Machine(NamedTuple):
    """A machine as `uname -m` names it, and the version of its glibc, such as (2, 36); () for another C library."""

    name: str
    glibc: tuple[int, ...]


def this_machine() -> Machine:
    """Returns the machine that this process runs on."""
    return Machine(os.uname().machine, glibc_version())


def glibc_version() -> tuple[int, ...]:
    """Returns the version of this process's glibc, such as (2, 36); () where the C library is another."""
    try:
        name, version = (os.confstr("CS_GNU_LIBC_VERSION") or "").split()
        major, minor = version.split(".")[:2]
        return int(major), int(minor)
    except (ValueError, OSError):
        return ()


def linker(needed: LinkerLibraries, folder: Callable[[TreePin], str | os.PathLike[str]]) -> Linker:
    """Returns the linker whose trees lie in folders. Raises LinkError for a C library without a program loader."""
    paths = tuple(os.path.join(folder(tree), name) for tree in needed.libraries for name in tree.files)
    if not needed.c_library:
        return Linker(paths)
    loader = next((name for name in needed.c_library.files if name.startswith(PROGRAM_LOADER)), None)
    if loader is None:
        what = f"holds no program loader ({PROGRAM_LOADER}…)"
        raise LinkError(what, where=needed.c_library.where, fix=f"add {PROGRAM_LOADER}linux-….so to its files")
    return Linker(paths, os.path.join(folder(needed.c_library), loader))
