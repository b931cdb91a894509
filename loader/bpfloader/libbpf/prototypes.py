"""How libbpf's C functions are told of: a row each, and what the value that one returns means."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any, NamedTuple

from ..errors import CallError, errno_text

Convention = Callable[[Any, Any, object], Any]


class Function(NamedTuple):
    """A C function: its result's type and its arguments', what the result means, the first libbpf that has it."""

    name: str
    result: Any
    arguments: tuple[Any, ...]
    convention: Convention
    since: str = "1.0"


def status(result: int, function: Any, _arguments: object) -> int:
    """The result of a function that returns a negative errno when it fails. Raises CallError."""
    if result < 0:
        raise failure(function.__name__, -result)
    return result


def pointer(result: int | None, function: Any, _arguments: object) -> int:
    """The result of a function that returns NULL and sets errno when it fails. Raises CallError."""
    if not result:
        raise failure(function.__name__, ctypes.get_errno())
    return result


def plain(result: Any, _function: object, _arguments: object) -> Any:
    """The result of a function that can't fail."""
    return result


def failure(function: str, errno: int) -> CallError:
    """The CallError for a function that failed with an errno."""
    return CallError(f"{function} failed ({errno_text(errno)})", errno=errno)
