"""Maps of programs and maps of maps: what goes in is an object of this process, what comes out is found by its id."""

from __future__ import annotations

import ctypes
import errno
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from ..codec.base import NATIVE, Codec
from ..codec.c_types import CTypes
from ..errors import CallError, LayoutError, MapError
from ..kernel.map_type import MapType
from ..kernel.privileges import privilege_error
from ..libbpf.library import library
from ..libbpf.structs import CreateOptions, sized
from .array import Sparse
from .base import Map, codec_of, descriptor
from .hash import KeyedMap
from .info import info_of, map_by_id
from .standalone import standalone

if TYPE_CHECKING:
    from ..owner import LoadedProgram, Owner

K = TypeVar("K")
M = TypeVar("M", bound=Map)
# Hashes, arrays and tries: the types of map that take BTF of their keys and values.
WITH_BTF = frozenset((
    MapType.HASH, MapType.ARRAY, MapType.PERCPU_HASH, MapType.PERCPU_ARRAY, MapType.LRU_HASH, MapType.LRU_PERCPU_HASH,
    MapType.LPM_TRIE,
))  # fmt: skip


class KernelId(int):
    """The kernel's number for what is in a map: a program's id, a socket's cookie. It can't be put back."""


def put_descriptor(value: Any) -> int:
    """The descriptor of what is put into a map. Raises TypeError, also for a KernelId."""
    if isinstance(value, KernelId):
        raise TypeError("it is an id that was read from a map: put the object itself, or a descriptor")
    return descriptor(value)


def kernel_ids(size: int, name: str) -> Codec[Any]:
    """Values that are put as descriptors and read as ids. Raises LayoutError for sizes other than 4 and 8 bytes."""
    if size not in (4, 8):
        raise LayoutError(f"a {name} in a map has 4 or 8 bytes, not {size}", fix="declare values of 8 bytes (__u64)")
    return Codec(NATIVE, "I" if size == 4 else "Q", KernelId, put_descriptor, name)


class ProgArray(Sparse[int]):
    """Programs that others call by their index (bpf_tail_call). `array[0] = skel.progs.next`; its id is read."""

    _batch_writes = False
    _fixes = {errno.EINVAL: "give a loaded program of the same type as those that call it"}

    def __init__(self, owner: Owner, name: str):
        super().__init__(owner, name, kernel_ids(4, "program"))

    def __setitem__(self, key: int, value: LoadedProgram | int) -> None:
        """Puts a loaded program, or one by its descriptor. Raises MapError, LayoutError, StateError."""
        self.put(key, value)  # type: ignore[arg-type]


Make = Callable[[Any, str], M]


def inner(kind: Callable[..., M], *types: Any) -> Make[M]:
    """What makes an inner map of a class and what that is told: `inner(Hash, c.u32, c.u64)`."""

    def make(owner: Any, name: str) -> M:
        return kind(owner, name, *types)

    return make


class InnerDefinition:
    """What a map of maps takes: type, sizes in bytes, max_entries, flags, ids in the object's BTF."""

    def __init__(self, source: Callable[[str], int], of_object: bool):
        self.type, self.key_size, self.value_size = source("type"), source("key_size"), source("value_size")
        self.max_entries, self.map_flags, self.map_extra = map(source, ("max_entries", "map_flags", "map_extra"))
        self.key_btf, self.value_btf = map(source, ("btf_key_type_id", "btf_value_type_id")) if of_object else (0, 0)

    def create(self, name: str, max_entries: int, btf_fd: int) -> int:
        """The descriptor of a new map. Raises CallError."""
        options = sized(CreateOptions, map_flags=self.map_flags, map_extra=self.map_extra)
        if btf_fd >= 0 and self.value_btf and self.type in WITH_BTF:
            options.btf_fd, options.btf_key_type_id, options.btf_value_type_id = btf_fd, self.key_btf, self.value_btf
        sizes = self.key_size, self.value_size, max_entries
        fd: int = library().bpf_map_create(self.type, name.encode()[:15], *sizes, ctypes.byref(options))
        return fd


class MapOfMaps(KeyedMap[K, M]):
    """What arrays and hashes of maps share: `outer[key] = outer.create()`, `outer[key]` is the inner map, typed.

    Each inner map that is read is a descriptor of its own, closed with the last use of the map.
    """

    _batch_writes = False
    _fixes = {errno.EINVAL: "give a map of the declared inner type, sizes and flags: `create` makes one"}

    def __init__(self, owner: Owner, name: str, key: Codec[K], make: Make[M]):
        self._make = make
        found: Codec[M] = Codec(NATIVE, "I", self._by_id, put_descriptor, "map")
        super().__init__(owner, name, key, found)
        handle = library().bpf_map__inner_map(self.handle) if self.handle else 0
        self._inner: InnerDefinition | None = None
        if handle:  # read now: libbpf frees it at load
            self._inner = InnerDefinition(lambda what: int(getattr(library(), f"bpf_map__{what}")(handle)), True)

    def _by_id(self, number: int) -> M:
        return standalone(map_by_id(number), self._make)

    def __setitem__(self, key: K, value: M | Map | int) -> None:
        """Puts a map: one of `create`, one of an object, a descriptor. Raises MapError, LayoutError, StateError."""
        self.put(key, value)  # type: ignore[arg-type]

    def set_inner(self, source: Map | int) -> None:
        """Says, before load, what inner maps look like: as an existing map does, or the map of a descriptor.

        For an object whose declaration doesn't say. Raises MapError, StateError.
        """
        fd = descriptor(source)
        info = info_of(fd)
        self._set_attribute("inner_map_fd", fd)
        self._inner = InnerDefinition(lambda what: getattr(info, what), False)

    def create(self, max_entries: int = 0, name: str = "") -> M:
        """A new inner map, as the declaration says; it is in no map yet, and gone with its last use unless it is put.

        `max_entries` other than declared the kernel takes for hashes, and for arrays with BPF_F_INNER_MAP. Raises
        MapError, StateError before load.
        """
        with self._owner.lock:
            self._require_fd()
            definition = self._inner
            if definition is None:
                what = f"the object doesn't say what the maps in {self.name} look like"
                raise MapError(what, fix="declare it: __array(values, struct { … }), or call set_inner before load")
            btf_fd = library().bpf_object__btf_fd(self._owner.handle) if self._bpf_map else -1
            entries = max_entries or definition.max_entries
            try:
                fd = definition.create(name or self.name, entries, btf_fd)
            except CallError as error:
                what = f"create a map for {self.name}"
                refused = MapError(
                    f"can't {what}: {error.what}", fix="see what its type takes (linux/bpf.h)", errno=error.errno
                )
                raise privilege_error(what, error.errno) or refused from None
        return standalone(fd, self._make)

    def entries(self) -> Iterator[tuple[K, M]]:
        """The keys and their maps now; one that is taken out meanwhile is left out."""
        for key in self:
            try:
                found = self[key]
            except KeyError:
                continue
            yield key, found

    def _list_entries(self) -> list[tuple[K, M]]:
        return list(self.entries())

    def _pop(self, key: K) -> M:
        found = self[key]  # opened before it is taken out: nothing else may hold it
        del self[key]
        return found

    def _drain_entries(self) -> list[tuple[K, M]]:
        """Of maps drained as a numpy array only the ids are left."""
        found = [(key, self.pop(key, None)) for key in self]
        return [(key, value) for key, value in found if value is not None]


class ArrayOfMaps(MapOfMaps[int, M]):
    """An array of maps; `make` is what `inner` gives."""

    _repeats = True

    def __init__(self, owner: Owner, name: str, make: Make[M]):
        super().__init__(owner, name, CTypes(NATIVE).u32, make)


class HashOfMaps(MapOfMaps[K, M]):
    """A hash of maps; `key` is a generated class or a codec, `make` what `inner` gives."""

    def __init__(self, owner: Owner, name: str, key: type[K] | Codec[K], make: Make[M]):
        super().__init__(owner, name, codec_of(key), make)
