"""Computes sha256 without importing hashlib: that loads OpenSSL, which takes longer than opening an object."""

from __future__ import annotations

import sys


def sha256(data: bytes) -> str:
    """Returns the digest in hexadecimal, by the interpreter's own C module where there is one, as `random` does."""
    try:
        module = __import__("_sha2" if sys.version_info >= (3, 12) else "_sha256")
    except ImportError:
        import hashlib as module
    return str(module.sha256(data).hexdigest())
