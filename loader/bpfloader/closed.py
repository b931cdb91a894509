"""Objects whose attributes are known."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NoReturn


class Closed:
    """Takes no attribute that its class doesn't have: a misspelt setting would be lost without a word."""

    if not TYPE_CHECKING:  # type checkers would take it for leave to set anything

        def __setattr__(self, name: str, value: Any) -> None:
            if name[0] != "_" and not hasattr(type(self), name):
                unknown(self._called(), name, (each for each in dir(type(self)) if each[0] != "_"))
            object.__setattr__(self, name, value)

    def _called(self) -> str:
        """What it is called in the refusal."""
        return repr(self)


def unknown(owner: str, name: str, known: Iterable[str]) -> NoReturn:
    """Never returns: raises AttributeError with the nearest names that there are."""
    from .suggest import near

    raise AttributeError(f"{owner} has no {name}; {near(name, known, 'dir() tells what it has')}")
