"""Texts and paths as C takes them: a NUL ends them there, so one that holds a NUL would silently be another."""

from __future__ import annotations

import os


def c_text(text: str) -> bytes:
    """Returns the bytes of a name for C. Raises ValueError for one with a NUL."""
    return _without_nul(text.encode("utf-8", "surrogateescape"), text)


def c_path(path: str | os.PathLike[str]) -> bytes:
    """Returns the bytes of a path for C. Raises ValueError for one with a NUL."""
    return _without_nul(os.fsencode(path), path)


def _without_nul(data: bytes, given: object) -> bytes:
    if b"\0" in data:
        raise ValueError(f"{given!r} holds a NUL, where C would cut it off; give it without")
    return data
