"""Opens an object's bytes with libbpf, and checks them against the digest in the skeleton."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping
from typing import cast

from ..errors import REINSTALL, CallError, DigestError, ObjectError, errno_text
from ..libbpf.c_text import c_path, c_text
from ..libbpf.library import library, require
from ..libbpf.log import captured
from ..libbpf.structs import OpenOptions, sized
from ..sha256 import sha256


def open_bytes(
    data: bytes,
    name: str,
    btf: str | None = None,
    pin_root: str | None = None,
    kconfig: Mapping[str, str | int] | None = None,
    token: str | os.PathLike[str] | None = None,
) -> int:
    """Opens an object's bytes; returns libbpf's struct bpf_object *. Its data maps' names begin with `name`.

    Raises ObjectError, LibraryError.
    """
    if token is not None:
        require("1.5", "BPF tokens")
    options = sized(
        OpenOptions,
        object_name=c_text(name.split(".")[0]),
        btf_custom_path=c_path(btf) if btf else None,
        pin_root_path=c_path(os.path.abspath(pin_root)) if pin_root else None,
        kconfig=c_text("".join(f"{option}={value}\n" for option, value in (kconfig or {}).items())) or None,
        bpf_token_path=c_path(token) if token is not None else None,
    )
    with captured() as messages:
        try:
            return cast(int, library().bpf_object__open_mem(data, len(data), ctypes.byref(options)))
        except CallError as error:
            raise _open_error(name, error, "".join(messages)) from None


def _open_error(name: str, error: CallError, messages: str) -> ObjectError:
    from ..diagnose.libbpf_messages import explain_open
    from ..diagnose.refusal import last_lines

    why, fix = explain_open(messages)
    what = f"libbpf can't open {name} ({errno_text(error.errno)})" + (f": {why}" if why else "")
    return ObjectError(what, fix=fix, details=last_lines(messages), errno=error.errno)


def require_digest(data: bytes, expected: str, where: str, packed: bool) -> None:
    """Raises DigestError for an object that its skeleton wasn't generated for; `packed`: both lie in a package."""
    if (found := sha256(data)) == expected:
        return
    what = f"{where} has sha256 {found}, its skeleton was made for {expected}"
    if packed:
        raise DigestError(what, fix=REINSTALL)
    from ..elf import require_bpf_object

    details: tuple[str, ...] = ()
    try:
        require_bpf_object(data, where)
    except ObjectError as error:  # for example truncated, which the digest alone doesn't say
        details = (error.what,)
    raise DigestError(what, fix="take object and skeleton from the same build", details=details)
