"""A map of an object, whatever its type."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from .codec import Codec
from .layout import Struct, Union
from .libbpf import library

if TYPE_CHECKING:
    from .object import Object


class Map:
    """A map of any type: its name, sizes and file descriptor. Base of the typed ones."""

    def __init__(self, owner: Object, name: str):
        self.name, self._owner = name, owner
        self._found = library().bpf_object__find_map_by_name(owner.handle, name.encode())
        owner.parts.append(self)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"

    @property
    def handle(self) -> int:
        """libbpf's struct bpf_map *. Raises StateError once the object is destroyed."""
        return cast(int, self._owner.handle and self._found)

    @property
    def fd(self) -> int:
        """The file descriptor, owned by the object. Raises StateError before load and after destroy."""
        self._owner.require_loaded(f"the map {self.name}")
        return cast(int, library().bpf_map__fd(self.handle))

    @property
    def type(self) -> int:
        """The map's type, a BPF_MAP_TYPE_* of linux/bpf.h."""
        return cast(int, library().bpf_map__type(self.handle))

    @property
    def key_size(self) -> int:
        """A key's size in bytes."""
        return cast(int, library().bpf_map__key_size(self.handle))

    @property
    def value_size(self) -> int:
        """A value's size in bytes; for one CPU if the map is per CPU."""
        return cast(int, library().bpf_map__value_size(self.handle))

    @property
    def max_entries(self) -> int:
        """How many entries the map takes (a ring buffer: bytes). Settable before load; rings round up to pages."""
        return cast(int, library().bpf_map__max_entries(self.handle))

    @max_entries.setter
    def max_entries(self, entries: int) -> None:
        self._owner.require_open(f"the size of the map {self.name}")
        library().bpf_map__set_max_entries(self.handle, entries)

    def _loaded(self) -> None:
        """Nothing to do once the map exists."""

    def _close(self) -> None:
        """Lets go of what the map holds itself; the object closes the descriptor."""


def codec_of(kind: Any) -> Codec[Any]:
    """The codec that a generated class stands for, or the codec itself."""
    return kind.codec if isinstance(kind, type) and issubclass(kind, (Struct, Union)) else cast(Codec[Any], kind)
