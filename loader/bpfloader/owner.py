"""Protocols of what maps, programs and links ask of the object that they belong to, and of what they are given.

An object (object/bpf_object.py) and a map without one (maps/standalone.py) satisfy `Owner`: no part imports the object.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import threading


class HasFd(Protocol):
    """Whatever has a descriptor, such as a socket."""

    def fileno(self) -> int: ...


class LoadedProgram(Protocol):
    """A program of an object, by its name and its descriptor. Raises StateError before load."""

    name: str

    @property
    def fd(self) -> int: ...


class Part(Protocol):
    """What an object tells of its life: its maps and sections."""

    def _loaded(self) -> None: ...

    def _close(self) -> None: ...


class PartList(Protocol):
    """The parts of an owner, to which each adds itself."""

    def append(self, part: Any, /) -> None: ...

    def __iter__(self) -> Iterator[Any]: ...


class HasCollections(Protocol):
    """An object's maps and programs, each an attribute of its collection."""

    maps: Any
    progs: Any


class LinkRegistry(Protocol):
    """The live links of an owner, to which each adds itself and from which it goes as it is detached."""

    def _add(self, link: Any) -> None: ...

    def _remove(self, link: Any) -> None: ...


class Owner(Protocol):
    """What a map, a program or a link belongs to."""

    # Held by what hands the kernel or libbpf a descriptor or a pointer, so that nobody frees it meanwhile.
    lock: threading.RLock

    @property
    def handle(self) -> int:
        """libbpf's struct bpf_object *, 0 where there is no object. Raises StateError after destroy."""

    @property
    def parts(self) -> PartList:
        """The maps and sections, in the order in which they were made."""

    @property
    def links(self) -> LinkRegistry:
        """The live links."""

    def require_open(self, what: str) -> None:
        """Raises StateError unless `what` can still be changed: before load."""

    def require_loaded(self, what: str) -> None:
        """Raises StateError unless `what` exists: after load and before destroy."""

    def find_map(self, name: str) -> int:
        """libbpf's struct bpf_map * of that name, 0 where there is no object. Raises CallError."""

    def map_fd(self, handle: int) -> int:
        """The descriptor of a map that `find_map` gave; negative for one that was not created."""

    def map_attribute(self, handle: int, what: str) -> Any:
        """What is stated of a map, by the name of libbpf's function without `bpf_map__`, such as `value_size`."""

    def program_count(self, name: str) -> int | None:
        """What programs count in a variable or an array of that name; None where there is neither."""
