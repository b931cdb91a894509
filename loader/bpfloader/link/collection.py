"""Links, the collection of an object's live links."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..suggest import no_such
from .base import Link

if TYPE_CHECKING:
    from ..owner import HasCollections


class Links:
    """The live links of an object: iterable, and by their program's name, as an item or an attribute.

    A program that isn't attached has None, one that is attached several times its last link.
    """

    def __init__(self, owner: HasCollections):
        self._owner = owner
        self._all: dict[int, Link] = {}

    def _add(self, link: Link) -> None:
        self._all[id(link)] = link

    def _remove(self, link: Link) -> None:
        self._all.pop(id(link), None)

    def _clear(self) -> None:
        self._all.clear()

    def __iter__(self) -> Iterator[Link]:
        return iter(list(self._all.values()))

    def __len__(self) -> int:
        return len(self._all)

    def __contains__(self, link: object) -> bool:
        return id(link) in self._all

    def __repr__(self) -> str:
        return f"<Links {', '.join(sorted(link.program for link in self))}>"

    def __getitem__(self, program: str) -> Link | None:
        found = [link for link in self if link.program == program]
        if not found and program not in (names := self._names().values()):
            raise no_such("program", program, names)
        return found[-1] if found else None

    def __getattr__(self, program: str) -> Link | None:
        if program.startswith("__") or program not in (names := self._names()):
            raise AttributeError(f"the object has no program {program}")
        return self[names[program]]

    def _names(self) -> dict[str, str]:
        """Returns the names of programs and maps (a struct_ops map has a link) by the skeleton's attribute."""
        parts = {**vars(self._owner.maps), **vars(self._owner.progs)}
        return {attribute: part.name for attribute, part in parts.items()}
