"""The sha256 of bytes, without what hashlib costs: it loads OpenSSL, which takes longer than to open an object."""

from __future__ import annotations

import sys


def sha256(data: bytes) -> str:
    """The digest in hexadecimal, by the interpreter's own C module where it has one, as `random` of the library does."""
    try:
        module = __import__("_sha2" if sys.version_info >= (3, 12) else "_sha256")
    except ImportError:
        import hashlib as module
    return str(module.sha256(data).hexdigest())
