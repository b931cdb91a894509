"""The sha256 of an object, without what hashlib costs: it loads OpenSSL, which takes longer than to open an object."""

from __future__ import annotations

import sys

from .elf import check
from .errors import REINSTALL, DigestError, ObjectError


def sha256(data: bytes) -> str:
    """The digest in hexadecimal, by the interpreter's own C module where it has one, as `random` of the library does."""
    try:
        module = __import__("_sha2" if sys.version_info >= (3, 12) else "_sha256")
    except ImportError:
        import hashlib as module
    return str(module.sha256(data).hexdigest())


def require_digest(data: bytes, expected: str, where: str, packed: bool) -> None:
    """Raises DigestError for an object that is not the one its skeleton was made for; `packed` is whether both lie in a
    package."""
    if (found := sha256(data)) == expected:
        return
    what = f"{where} has sha256 {found}, its skeleton was made for {expected}"
    if packed:
        raise DigestError(what, fix=REINSTALL)
    details: tuple[str, ...] = ()
    try:
        check(data, where)
    except ObjectError as error:  # such as one that is cut short, which the digest alone doesn't tell
        details = (error.what,)
    raise DigestError(what, fix="take object and skeleton from the same build", details=details)
