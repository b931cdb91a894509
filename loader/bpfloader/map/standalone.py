"""Maps without an object: those that exist, by pin, name or id, and the inner maps of a map of maps."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from ..errors import StateError
from ..fork import call_after_fork
from .info import info_of

if TYPE_CHECKING:
    from ..owner import ObjectPart

M = TypeVar("M", bound="ObjectPart")


class _WeakParts:
    """A list of weak references to maps, so that the descriptor is closed with the last reference to the map."""

    def __init__(self) -> None:
        self._references: list[weakref.ref[Any]] = []

    def append(self, part: Any) -> None:
        self._references.append(weakref.ref(part))

    def __iter__(self) -> Any:
        return iter([part for part in (reference() for reference in self._references) if part is not None])


class Standalone:
    """The owner of a single map without an object (see owner.Owner); owns its descriptor."""

    def __init__(self, fd: int):
        self._fd = fd
        self.lock, self.parts = threading.RLock(), _WeakParts()
        self.info = info_of(fd)
        call_after_fork(self)

    def _after_fork(self) -> None:
        """Replaces the lock, which a thread missing in the child may hold."""
        self.lock = threading.RLock()

    @property
    def handle(self) -> int:
        """Always 0, as libbpf has no struct bpf_object for it. Raises StateError after close."""
        self.require_loaded("the map")
        return 0

    @property
    def links(self) -> NoReturn:
        """Raises StateError: such a map attaches nothing."""
        raise StateError(f"the map {self.info.name} is in no object", fix="attach a map of an object")

    def require_open(self, what: str) -> NoReturn:
        """Raises StateError: the map exists already."""
        raise StateError(f"{what} can't be changed: the map exists", fix="create another one")

    def require_loaded(self, what: str) -> None:
        """Raises StateError after close."""
        if self._fd < 0:
            raise StateError(f"the map {self.info.name} is closed", fix="open it again")

    def find_map(self, name: str) -> int:
        """Returns 0: libbpf has no struct bpf_map for it."""
        return 0

    def map_name(self, _handle: int) -> str:
        """Returns the name that the kernel keeps."""
        return self.info.name

    def map_fd(self, _handle: int) -> int:
        """Returns the descriptor."""
        return self._fd

    def map_attribute(self, _handle: int, name: str) -> Any:
        """Returns what the kernel says of the map; of what only an object states, True for `autocreate`, else 0."""
        self.require_loaded(name)
        return True if name == "autocreate" else getattr(self.info, name, 0)

    def map_difference(self, _handle: int, _info: Any) -> str:
        """Returns nothing: a map without an object declares no types."""
        return ""

    def program_count(self, name: str) -> None:
        """Returns None: there are no programs that count."""

    def close(self) -> None:
        """Closes the descriptor; does nothing the second time."""
        with self.lock:
            fd, self._fd = self._fd, -1
            if fd >= 0:
                for part in self.parts:
                    part._close()
                os.close(fd)

    __del__ = close

    def close_map(self, _name: str) -> None:
        """Closes the descriptor."""
        self.close()


def standalone(fd: int, make: Callable[[Any, str], M]) -> M:
    """Returns the map of a descriptor, which it owns from now on; `make` makes it from an owner and a name.

    A perf event array isn't read yet, and its reader keeps its records: somebody may only want to look at it.
    """
    owner = Standalone(fd)
    return make(owner, owner.info.name)
