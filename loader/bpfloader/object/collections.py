"""The collections of an object's maps and programs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ..errors import AttachError
from ..map.base import Map
from ..program.base import Program
from ..suggest import no_such, raise_unknown

if TYPE_CHECKING:
    from ..link.collection import Links
    from ..owner import Owner

P = TypeVar("P")


class Collection(Generic[P]):
    """The maps or programs of an object, each an attribute; also by name (`progs["x"]`), and iterable."""

    _what = "part"

    def __init__(self, owner: Owner):
        """Does nothing: generated classes set one attribute for each part of their owner."""

    if not TYPE_CHECKING:  # see suggest.FixedAttributes

        def __setattr__(self, name: str, part: Any) -> None:
            """Sets each part once. Refuses other values, which were meant for a part's attribute and would be lost."""
            if name in vars(self):
                raise AttributeError(f"{name} can't be replaced; set its own attributes, or a map's entries")
            if not isinstance(part, (Map, Program)):
                raise_unknown(repr(self), name, vars(self))
            object.__setattr__(self, name, part)

    def __iter__(self) -> Iterator[P]:
        return iter(vars(self).values())

    def __len__(self) -> int:
        return len(vars(self))

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {', '.join(vars(self))}>"

    def __getitem__(self, name: str) -> P:
        for part in self:
            if part.name == name:  # type: ignore[attr-defined]
                return part
        raise no_such(self._what, name, (part.name for part in self))  # type: ignore[attr-defined]


class Maps(Collection[Map]):
    """An object's maps. Base of the generated classes."""

    _what = "map"


class Progs(Collection[Program]):
    """An object's programs. Base of the generated classes."""

    _what = "program"


def program_names(owner: Owner, progs: Progs, programs: Iterable[str | Program]) -> Iterator[str]:
    """Yields the names of an object's programs, each given by its name or as a Program of that object.

    Raises KeyError for a program that the object lacks, TypeError for a single string and for what is no program.
    """
    if isinstance(programs, str):
        raise TypeError(f"{programs!r} is no list of programs; write [{programs!r}]")
    for each in programs:
        if isinstance(each, Program):
            if each._owner is not owner:
                raise KeyError(f"the program {each.name} is another object's; give its name, or take it of progs")
            yield each.name
        elif isinstance(each, str):
            yield progs[each].name
        else:
            raise TypeError(f"{each!r} is no program; give names, or programs of progs")


def nothing_attached(progs: Iterable[Program], links: Links) -> AttachError | None:
    """Returns the error if no program attaches by its section but some can be attached by hand; else None."""
    waiting = [each for each in progs if each.autoload and each.autoattach and each._attachable]
    waiting = [each for each in waiting if links[each.name] is None]
    if not waiting:
        return None
    named = ", ".join(f'{each.name} (SEC("{each.section.removeprefix("?")}"))' for each in waiting)
    what = f"nothing was attached: no section says where to attach {named}"
    return AttachError(what, fix=f"attach by hand: progs.{waiting[0].name}.attach(…) takes the target")
