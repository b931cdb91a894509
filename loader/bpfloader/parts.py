"""What an object consists of, for Python: its maps and programs as collections, each part told of its life."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from .maps import Map
from .program import Program

if TYPE_CHECKING:
    from .object import Object

P = TypeVar("P")


class Part(Protocol):
    """What an object tells of its life: its maps and sections."""

    def _loaded(self) -> None: ...

    def _close(self) -> None: ...


class Collection(Generic[P]):
    """The maps or programs of an object, each an attribute; also by name (`progs["x"]`), and iterable."""

    def __init__(self, owner: Object):
        """Generated classes set one attribute for each part of their owner."""

    def __iter__(self) -> Iterator[P]:
        return iter(vars(self).values())

    def __len__(self) -> int:
        return len(vars(self))

    def __getitem__(self, name: str) -> P:
        for part in self:
            if part.name == name:  # type: ignore[attr-defined]
                return part
        raise KeyError(name)


class Maps(Collection[Map]):
    """Base of the generated maps."""


class Progs(Collection[Program]):
    """Base of the generated programs."""
