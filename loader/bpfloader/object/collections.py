"""The collections of an object's maps and programs, and the object as the owner of its maps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from ..codec.base import Field
from ..errors import AttachError, CallError
from ..libbpf.library import library
from ..maps.base import Map
from ..programs.base import Program
from ..suggest import no_such, raise_unknown
from .variables import Section

if TYPE_CHECKING:
    from ..link import Links
    from ..owner import ObjectPart, Owner

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


class MapOwner:
    """The part of owner.Owner that concerns maps. A base of Object."""

    _not_created: frozenset[int] = frozenset()
    parts: list[ObjectPart]

    @property
    def handle(self) -> int:
        """libbpf's struct bpf_object *."""
        raise NotImplementedError

    def find_map(self, name: str) -> int:
        """Returns libbpf's struct bpf_map * of that name. Raises CallError."""
        try:
            return cast(int, library().bpf_object__find_map_by_name(self.handle, name.encode()))
        except CallError:
            found = None  # bpf_map__name returns 15 characters of a name .bss.…, by which libbpf doesn't find the map
            while found := library().bpf_object__next_map(self.handle, found):
                if library().bpf_map__name(found) == name.encode():
                    return cast(int, found)
            raise

    def map_fd(self, handle: int) -> int:
        """Returns the descriptor of a map of the object; negative for one that was not created."""
        return -1 if handle in self._not_created else cast(int, library().bpf_map__fd(handle))

    def _notify_loaded(self, parts: Iterable[ObjectPart]) -> None:
        """Calls each part after load, and notes the maps without autocreate, for which libbpf may have descriptors."""
        for part in parts:
            if isinstance(part, Map) and not part.autocreate:
                self._not_created |= {part._bpf_map}
            else:
                part._loaded()

    def map_attribute(self, handle: int, name: str) -> Any:
        """Returns an attribute of a map of the object, by libbpf's name for it without `bpf_map__`."""
        return getattr(library(), f"bpf_map__{name}")(self.handle and handle)

    def program_count(self, name: str) -> int | None:
        """Returns the value of a global variable of that name, or the sum of an array, per CPU or not; else None.

        Raises StateError if it can't be read now.
        """
        for section in self.parts:
            if isinstance(section, Section) and isinstance(vars(type(section)).get(name), Field):
                return _total(getattr(section, name))
        for part in self.parts:
            if getattr(part, "name", None) == name and hasattr(part, "values"):
                return sum(map(_total, part.values()))
        return None


def _total(value: object) -> int:
    return sum(map(_total, value)) if isinstance(value, tuple) else int(value)  # type: ignore[call-overload]
