"""Protocols: what maps, programs and links need of the object that owns them, and of the values handed to them.

An object (object/bpf_object.py) and a map without one (map/standalone.py) satisfy `Owner`: no part imports the object.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import threading


class HasFd(Protocol):
    """Anything with a file descriptor, such as a socket."""

    def fileno(self) -> int:
        """Returns the descriptor."""


class LoadedProgram(Protocol):
    """A program of an object: its name, and its descriptor, which raises StateError before load."""

    name: str

    @property
    def fd(self) -> int:
        """The descriptor, owned by the object."""


class ObjectProgram(LoadedProgram, Protocol):
    """A program of an object, loaded or not yet."""

    @property
    def handle(self) -> int:
        """libbpf's struct bpf_program *. Raises StateError once the object is destroyed."""


class ObjectPart(Protocol):
    """A map or section of an object, which calls it after load and at destroy."""

    def _loaded(self) -> None: ...

    def _close(self) -> None: ...


class PartList(Protocol):
    """The list to which an owner's maps and sections add themselves."""

    def append(self, part: Any, /) -> None:
        """Adds a part."""

    def __iter__(self) -> Iterator[Any]: ...


class HasCollections(Protocol):
    """An object with its collections of maps and programs."""

    maps: Any
    progs: Any


class LinkRegistry(Protocol):
    """The live links of an owner: a link adds itself, and removes itself as it is detached."""

    def _add(self, link: Any) -> None: ...

    def _remove(self, link: Any) -> None: ...


class Owner(Protocol):
    """The owner of maps, programs and links: an object, or the stand-in of one for a map without an object."""

    # Hold it while the kernel or libbpf has a descriptor or a pointer of the object, so that no thread frees that.
    lock: threading.RLock

    @property
    def handle(self) -> int:
        """libbpf's struct bpf_object *, 0 without an object. Raises StateError after destroy."""

    @property
    def parts(self) -> PartList:
        """The maps and sections in order of creation."""

    @property
    def links(self) -> LinkRegistry:
        """The links that still attach a program."""

    def require_open(self, what: str) -> None:
        """Raises StateError unless `what` can still be changed: before load."""

    def require_loaded(self, what: str) -> None:
        """Raises StateError unless `what` exists: after load and before destroy."""

    def find_map(self, name: str) -> int:
        """Returns libbpf's struct bpf_map * of that name, 0 without an object. Raises CallError."""

    def map_name(self, handle: int) -> str:
        """Returns the name of a map found by `find_map`."""

    def map_fd(self, handle: int) -> int:
        """Returns the descriptor of a map found by `find_map`; negative for one that was not created."""

    def map_attribute(self, handle: int, name: str) -> Any:
        """Returns an attribute of a map by libbpf's name for it without `bpf_map__`, such as `value_size`."""

    def map_difference(self, handle: int, info: Any) -> str:
        """Names what an existing map (a MapInfo) differs in from the one found by `find_map`: a member of its key or
        value. Empty where they are alike, or that can't be told.
        """

    def close_map(self, name: str) -> None:
        """Closes a map without an object. Raises StateError for one of an object, which destroy closes."""

    def program_count(self, name: str) -> int | None:
        """Returns what programs have counted in a variable or array of that name; None without either."""
