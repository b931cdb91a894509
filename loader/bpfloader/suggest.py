"""Suggests existing names for a misspelt one, and refuses attributes that a class doesn't have."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NoReturn

SHOWN_NAMES = 3  # the most names in a suggestion
MANY_NAMES = 20_000  # names: beyond that, only those of the same first letter and a similar length are compared


def nearest(name: str, among: Iterable[str], cutoff: float = 0.6) -> list[str]:
    """Returns up to three similar names, the nearest first; else names that contain this one, the shortest first."""
    from difflib import get_close_matches

    names = sorted({*among})
    same = [each for each in names if each[:1] == name[:1] and abs(len(each) - len(name)) < 4]
    near = get_close_matches(name, same if len(names) > MANY_NAMES else names, SHOWN_NAMES, cutoff)
    return near or sorted((each for each in names if name and name in each), key=len)[:SHOWN_NAMES]


def suggestion(name: str, among: Iterable[str], otherwise: str = "") -> str:
    """Returns the nearest names as the end of a message, `nearest: a, b`; `otherwise` if there are none."""
    found = nearest(name, among)
    return f"nearest: {', '.join(found)}" if found else otherwise


def no_such(what: str, name: str, among: Iterable[str]) -> KeyError:
    """Returns the KeyError for a missing part of an object: `no map event; nearest: events`."""
    close = suggestion(name, among)
    return KeyError(f"no {what} {name}" + (f"; {close}" if close else ""))


class FixedAttributes:
    """Refuses new public attributes: a misspelt setting would be lost without a word."""

    if not TYPE_CHECKING:  # type checkers would allow any attribute because of it

        def __setattr__(self, name: str, value: Any) -> None:
            if name[0] != "_" and not hasattr(type(self), name):
                raise_unknown(self._error_name(), name, (each for each in dir(type(self)) if each[0] != "_"))
            object.__setattr__(self, name, value)

    def _error_name(self) -> str:
        """Returns the object's name for the error."""
        return repr(self)


def raise_unknown(owner: str, name: str, known: Iterable[str]) -> NoReturn:
    """Raises AttributeError with the nearest of the known names."""
    raise AttributeError(f"{owner} has no {name}; {suggestion(name, known, 'dir() tells what it has')}")
