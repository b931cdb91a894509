"""Suggests names near to one that isn't there, and refuses attributes that a class doesn't have.

difflib is imported with the first suggestion.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NoReturn

SHOWN = 3
MANY = 20_000  # names: more than that are narrowed down before each is compared


def nearest(name: str, among: Iterable[str], cutoff: float = 0.6) -> list[str]:
    """Up to three names near to that one, the nearest first; else those that it is a part of; an empty list for none."""
    from difflib import get_close_matches

    names = sorted({*among})
    same = [each for each in names if each[:1] == name[:1] and abs(len(each) - len(name)) < 4]
    near = get_close_matches(name, same if len(names) > MANY else names, SHOWN, cutoff)
    return near or sorted((each for each in names if name and name in each), key=len)[:SHOWN]


def suggestion(name: str, among: Iterable[str], otherwise: str = "") -> str:
    """The same as the end of a message, `nearest: a, b`; `otherwise` where there is none."""
    found = nearest(name, among)
    return f"nearest: {', '.join(found)}" if found else otherwise


def no_such(what: str, name: str, among: Iterable[str]) -> KeyError:
    """The KeyError for a part that an object doesn't have: `no map event; nearest: events`."""
    close = suggestion(name, among)
    return KeyError(f"no {what} {name}" + (f"; {close}" if close else ""))


class FixedAttributes:
    """Takes no attribute that its class doesn't have: a misspelt setting would be lost without a word."""

    if not TYPE_CHECKING:  # type checkers would take it for leave to set anything

        def __setattr__(self, name: str, value: Any) -> None:
            if name[0] != "_" and not hasattr(type(self), name):
                raise_unknown(self._error_name(), name, (each for each in dir(type(self)) if each[0] != "_"))
            object.__setattr__(self, name, value)

    def _error_name(self) -> str:
        """What it is called in the refusal."""
        return repr(self)


def raise_unknown(owner: str, name: str, known: Iterable[str]) -> NoReturn:
    """Never returns: raises AttributeError with the nearest names that there are."""
    raise AttributeError(f"{owner} has no {name}; {suggestion(name, known, 'dir() tells what it has')}")
