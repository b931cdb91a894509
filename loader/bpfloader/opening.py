"""How an object gets from a file into libbpf's hands."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Mapping
from typing import Any, cast

from .errors import CallError, ObjectError, errno_text
from .libbpf import library
from .log import captured
from .refusal import lines
from .structures import OpenOptions, sized


def read(path: str | os.PathLike[str], fix: str, size: int = -1) -> bytes:
    """The first bytes of a file, all of them for -1; it may lie in a wheel that is on sys.path. Raises ObjectError."""
    try:
        with open(path, "rb") as file:
            return file.read(size)
    except OSError as error:
        if (data := _in_wheel(os.fspath(path))) is not None:
            return data if size < 0 else data[:size]
        raise ObjectError(f"can't read {os.fspath(path)} ({errno_text(error.errno or 0)})", fix=fix) from None


def _in_wheel(path: str) -> bytes | None:
    """What lies there in an archive that Python imports from; None if nothing does."""
    for importer in list(sys.path_importer_cache.values()):
        if path.startswith(f"{getattr(importer, 'archive', path)}{os.sep}"):
            try:
                return cast(Any, importer).get_data(path)  # type: ignore[no-any-return]
            except OSError:
                return None
    return None


def open_bytes(
    data: bytes,
    name: str,
    btf: str | None = None,
    pin_root: str | None = None,
    kconfig: Mapping[str, str | int] | None = None,
) -> int:
    """libbpf's struct bpf_object * for an object's bytes; `name` begins its maps' names. Raises ObjectError."""
    options = sized(
        OpenOptions,
        object_name=name.split(".")[0].encode(),
        btf_custom_path=os.fsencode(btf) if btf else None,
        pin_root_path=os.fsencode(pin_root) if pin_root else None,
        kconfig="".join(f"{option}={value}\n" for option, value in (kconfig or {}).items()).encode() or None,
    )
    with captured() as messages:
        try:
            return cast(int, library().bpf_object__open_mem(data, len(data), ctypes.byref(options)))
        except CallError as error:
            raise _unopened(name, error, "".join(messages)) from None


def _unopened(name: str, error: CallError, said: str) -> ObjectError:
    from .saying import unopened

    why, fix = unopened(said) or ("", "compile it with clang -target bpf -g")
    what = f"libbpf can't open {name} ({errno_text(error.errno)})" + f": {why}" * bool(why)
    return ObjectError(what, fix=fix, details=lines(said), errno=error.errno)
