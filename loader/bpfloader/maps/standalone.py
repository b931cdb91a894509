"""Maps that are in no object: those in a map of maps, and those that such a map is given."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

from ..errors import StateError
from .base import Map
from .info import info_of

M = TypeVar("M", bound=Map)


class _WeakParts:
    """What a map puts itself into; weakly, so that the descriptor is closed with the last use of the map."""

    def __init__(self) -> None:
        self._kept: list[weakref.ref[Any]] = []

    def append(self, part: Any) -> None:
        self._kept.append(weakref.ref(part))

    def __iter__(self) -> Any:
        return iter([part for part in (kept() for kept in self._kept) if part is not None])


class Standalone:
    """The owner of one map without an object (see owner.Owner). It owns the descriptor."""

    def __init__(self, fd: int):
        self._fd = fd
        self.lock, self.parts = threading.RLock(), _WeakParts()
        self.info = info_of(fd)

    @property
    def handle(self) -> int:
        """Always 0: libbpf has no struct bpf_object for it. Raises StateError once it is closed."""
        self.require_loaded("the map")
        return 0

    @property
    def links(self) -> NoReturn:
        """Raises StateError: nothing is attached by such a map."""
        raise StateError(f"the map {self.info.name} is in no object", fix="attach a map of an object")

    def require_open(self, what: str) -> NoReturn:
        """Raises StateError: the map exists."""
        raise StateError(f"{what} can't be changed: the map exists", fix="create another one")

    def require_loaded(self, what: str) -> None:
        """Raises StateError once it is closed."""
        if self._fd < 0:
            raise StateError(f"the map {self.info.name} is closed", fix="look it up in its outer map again")

    def find_map(self, name: str) -> int:
        """Always 0: libbpf has no struct bpf_map for it."""
        return 0

    def map_fd(self, _handle: int) -> int:
        """The descriptor."""
        return self._fd

    def map_attribute(self, _handle: int, name: str) -> Any:
        """Returns what the kernel says of the map; of what only an object states, True for `autocreate`, else 0."""
        self.require_loaded(name)
        return True if name == "autocreate" else getattr(self.info, name, 0)

    def program_count(self, name: str) -> None:
        """Always None: there are no programs that count here."""

    def close(self) -> None:
        """Closes the descriptor; the second time does nothing."""
        with self.lock:
            fd, self._fd = self._fd, -1
            if fd >= 0:
                for part in self.parts:
                    part._close()
                os.close(fd)

    __del__ = close


def standalone(fd: int, make: Callable[[Any, str], M]) -> M:
    """The map of that descriptor, which it owns from now on, made by `make` of an owner and a name."""
    owner = Standalone(fd)
    made = make(owner, owner.info.name)
    made._loaded()
    return made
