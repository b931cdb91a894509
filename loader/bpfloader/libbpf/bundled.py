"""The libbpf.so.1 that a package carries: found by the package's own list, verified, loaded by its path.

ebpfbuild/package/libraries.py writes the list, `bundled_libbpf.py` beside this loader's folder. It needs the C library
alone: libelf and zlib are part of it.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

from ..arch import this_arch
from ..errors import REINSTALL, DigestError, LibraryError
from ..files import missing_file_fix, read_file
from ..sha256 import sha256 as digest_of

MODULE = "bundled_libbpf"


class Bundled(NamedTuple):
    """A library of the package: where it lies, and which bytes it has to be."""

    path: str
    sha256: str
    size: int


def bundled_library() -> Bundled | None:
    """Returns the library that the package of this loader carries for this machine; None where it carries none."""
    package = __package__.rpartition(".")[0].rpartition(".")[0]
    if not package:
        return None  # a loader that is in no package
    try:
        module = import_module(f"{package}.{MODULE}")
    except ModuleNotFoundError as error:
        if error.name != f"{package}.{MODULE}":
            raise
        return None
    entry = module.LIBRARIES.get(this_arch())
    if entry is None:
        return None
    path, sha256, size = entry
    return Bundled(os.path.join(os.path.dirname(str(module.__file__)), *path.split("/")), sha256, size)


if not TYPE_CHECKING:  # a loader in no package has no such module

    def _seen_by_bundlers() -> None:
        """Is never called: PyInstaller and its like take along what they find an import statement of."""
        from ... import bundled_libbpf  # noqa: F401


def verified_path(library: Bundled) -> str:
    """Returns a path by which to load a library, its bytes verified. Raises DigestError, LibraryError, ObjectError.

    Of a package in a zip archive they are copied into memory, for the dynamic loader reads files alone.
    """
    data = read_file(library.path, missing_file_fix(library.path, True, REINSTALL))
    found = digest_of(data)
    if found != library.sha256 or len(data) != library.size:
        what = f"{library.path} has sha256 {found}, the package was made with {library.sha256}"
        raise DigestError(what, fix=REINSTALL)
    return library.path if os.path.isfile(library.path) else _in_memory(data, library.path)


def _in_memory(data: bytes, path: str) -> str:
    """Returns the path of a sealed file in memory; it stays open, since the path would else become another file's."""
    try:
        fd = os.memfd_create("libbpf.so.1")
        with open(fd, "wb", closefd=False) as file:
            file.write(data)
    except OSError as error:
        what = f"can't copy {path} out of its archive ({error.strerror})"
        raise LibraryError(what, fix="install the package unpacked") from None
    return f"/proc/self/fd/{fd}"
