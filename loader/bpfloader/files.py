"""Reads files that a caller names, without ever blocking.

A path may lead to a named pipe, on which a read blocks, or to an endless device: everything but a regular file of a
plausible size is refused before it is read.
"""

from __future__ import annotations

import contextlib
import os
import stat
import sys
from typing import Any, BinaryIO, cast

from .errors import ObjectError, errno_text
from .signals import DeferredSignals

MAX_BYTES = 256 << 20  # bytes of a file, as of all files in an archive; an object with a kernel's whole BTF has 10 MB
SPECIAL_FILES = {stat.S_IFIFO: "a named pipe", stat.S_IFSOCK: "a socket"}


def read_file(path: str | os.PathLike[str], fix: str, size: int = -1) -> bytes:
    """Returns the first `size` bytes of a file, all of them for -1; the file may lie in a wheel on sys.path.

    Raises ObjectError, also for anything but a regular file and for one larger than MAX_BYTES.
    """
    try:
        with open_file(path) as file:
            if os.fstat(file.fileno()).st_size > MAX_BYTES:
                raise ValueError(f"is larger than {MAX_BYTES >> 20} MiB")
            return file.read(size)
    except ValueError as unfit:
        raise ObjectError(f"{os.fspath(path)} {unfit}", fix=fix) from None
    except OSError as error:
        if (data := _read_from_archive(os.fspath(path))) is not None:
            return data if size < 0 else data[:size]
        raise ObjectError(f"can't read {os.fspath(path)} ({errno_text(error.errno or 0)})", fix=fix) from None


def open_file(path: str | os.PathLike[str]) -> BinaryIO:
    """Opens a regular file for reading. Raises ValueError for a pipe, a socket or a device, and OSError.

    Checks the type before, because opening a device may have an effect, and after, because the file may be replaced
    in between.
    """
    _require_file(os.stat(path))
    with DeferredSignals():  # an interrupt would leave the descriptor without an owner, or with two
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        try:
            _require_file(os.fstat(descriptor))
            return os.fdopen(descriptor, "rb")  # a folder is an IsADirectoryError here
        except BaseException:
            os.close(descriptor)
            raise


def write_whole(path: str | os.PathLike[str], text: str) -> None:
    """Writes a text file whole or not at all: beside it first, then in its place. Raises OSError."""
    path = os.path.realpath(path)
    beside = f"{path}.{os.getpid()}.new"
    try:
        with open(beside, "x", encoding="utf-8") as file:
            file.write(text)
        os.replace(beside, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(beside)
        raise


def missing_file_fix(path: str, packed: bool, otherwise: str) -> str:
    """Returns the next step for a data file that can't be read: in a frozen program, how to have it bundled.

    PyInstaller bundles modules by itself, but not the files beside them. `packed` for a file of a package.
    """
    bundle = getattr(sys, "_MEIPASS", "")
    if not getattr(sys, "frozen", False) or not bundle or os.path.exists(path):
        return otherwise
    folder = os.path.relpath(os.path.dirname(path), bundle)
    if packed:
        return f"bundle the package's files, too: pyinstaller --collect-data {folder.split(os.sep)[0]}"
    return f'bundle it, too: pyinstaller --add-data "{os.path.basename(path)}:{folder}"'


def _require_file(found: os.stat_result) -> None:
    if not (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)):
        raise ValueError(f"is {SPECIAL_FILES.get(stat.S_IFMT(found.st_mode), 'a device')}, not a file")


def _read_from_archive(path: str) -> bytes | None:
    """Reads a path within an archive that Python imports from; returns None if there is no such file."""
    for importer in list(sys.path_importer_cache.values()):
        if path.startswith(f"{getattr(importer, 'archive', path)}{os.sep}"):
            try:
                return cast(Any, importer).get_data(path)  # type: ignore[no-any-return]
            except OSError:
                return None
    return None
