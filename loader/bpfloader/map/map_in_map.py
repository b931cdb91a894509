"""Maps of programs and maps of maps, in which the kernel takes descriptors and returns ids."""

from __future__ import annotations

import ctypes
import errno
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from ..codec.base import NATIVE, Codec
from ..codec.c_types import CTypes
from ..errors import CallError, LayoutError, MapError
from ..kernel.map_type import MapType
from ..kernel.privileges import privilege_error
from ..libbpf.library import library
from ..libbpf.structs import CreateOptions, sized
from ..signals import DeferredSignals, take_one
from .array import SparseArray
from .base import Map, codec_of, descriptor
from .hash import KeyedMap
from .info import info_of, map_by_id
from .standalone import standalone

if TYPE_CHECKING:
    from ..owner import LoadedProgram, Owner

K = TypeVar("K")
M = TypeVar("M", bound=Map)
# The types of map that accept BTF of their keys and values: hashes, arrays and tries.
TYPES_WITH_BTF = frozenset((
    MapType.HASH, MapType.ARRAY, MapType.PERCPU_HASH, MapType.PERCPU_ARRAY, MapType.LRU_HASH, MapType.LRU_PERCPU_HASH,
    MapType.LPM_TRIE,
))  # fmt: skip


class KernelId(int):
    """The kernel's id of an object in a map: a program's or map's id, a socket's cookie. It can't be put back."""


def put_descriptor(value: Any) -> int:
    """Returns the descriptor of an object to be put into a map. Raises TypeError, also for a KernelId."""
    if isinstance(value, KernelId):
        raise TypeError("it is an id that was read from a map: put the object itself, or a descriptor")
    return descriptor(value)


def kernel_ids(size: int, name: str) -> Codec[Any]:
    """Makes the codec of values written as descriptors and read as ids. Raises LayoutError unless 4 or 8 bytes."""
    if size not in (4, 8):
        raise LayoutError(f"a {name} in a map has 4 or 8 bytes, not {size}", fix="declare values of 8 bytes (__u64)")
    return Codec(NATIVE, "I" if size == 4 else "Q", KernelId, put_descriptor, name)


class ProgArray(SparseArray[int]):
    """Programs that others call by index (bpf_tail_call). Set `array[0] = skel.progs.next`, read the program's id."""

    _batch_writes = False
    _fixes = {errno.EINVAL: "give a loaded program of the same type as those that call it"}

    def __init__(self, owner: Owner, name: str):
        super().__init__(owner, name, kernel_ids(4, "program"))

    def __setitem__(self, key: int, value: LoadedProgram | int) -> None:
        """Puts a loaded program, or one by its descriptor. Raises MapError, LayoutError, StateError."""
        self.put(key, value)  # type: ignore[arg-type]


MapFactory = Callable[[Any, str], M]


def inner(kind: Callable[..., M], *types: Any) -> MapFactory[M]:
    """Returns a function that makes an inner map of a class with these types: `inner(Hash, c.u32, c.u64)`."""

    def make(owner: Any, name: str) -> M:
        return kind(owner, name, *types)

    return make


class InnerDefinition:
    """The declared form of inner maps: type, sizes in bytes, max_entries, flags, type ids in the object's BTF.

    `attribute` returns an attribute by its name; without `with_btf` it has no type ids.
    """

    def __init__(self, attribute: Callable[[str], int], with_btf: bool):
        self.type, self.key_size, self.value_size = map(attribute, ("type", "key_size", "value_size"))
        self.max_entries, self.map_flags, self.map_extra = map(attribute, ("max_entries", "map_flags", "map_extra"))
        self.key_btf, self.value_btf = map(attribute, ("btf_key_type_id", "btf_value_type_id")) if with_btf else (0, 0)

    def create(self, name: str, max_entries: int, btf_fd: int) -> int:
        """Creates a map and returns its descriptor. Raises CallError."""
        options = sized(CreateOptions, map_flags=self.map_flags, map_extra=self.map_extra)
        if btf_fd >= 0 and self.value_btf and self.type in TYPES_WITH_BTF:
            options.btf_fd, options.btf_key_type_id, options.btf_value_type_id = btf_fd, self.key_btf, self.value_btf
        sizes = self.key_size, self.value_size, max_entries
        fd: int = library().bpf_map_create(self.type, name.encode()[:15], *sizes, ctypes.byref(options))
        return fd


def _makes_maps(make: Any) -> bool:
    """Returns False for what is no function, such as a struct's class: it would fail at the first look-up."""
    return callable(make) and not (isinstance(make, type) and not issubclass(make, Map))


class MapOfMaps(KeyedMap[K, M]):
    """A map of maps: `outer[key] = outer.create()`, and `outer[key]` is the inner map, typed.

    Each look-up opens the inner map anew, with a descriptor that is closed with the last reference to it.
    """

    _batch_writes = False
    _fixes = {errno.EINVAL: "give a map of the declared inner type, sizes and flags: `create` makes one"}

    def __init__(self, owner: Owner, name: str, key: Codec[K], make: MapFactory[M]):
        if not _makes_maps(make):
            what = f"{make!r} makes no map to be in {name}"
            raise TypeError(f"{what}; give it as bpfloader.inner(bpfloader.Hash, Key, Value)")
        self._make = make
        found: Codec[M] = Codec(NATIVE, "I", self._by_id, put_descriptor, "map")
        super().__init__(owner, name, key, found)
        # What each thread's drain has removed and not returned: an exception leaves it here for the next one.
        self._removed: dict[int, list[tuple[K, M]]] = {}
        handle = library().bpf_map__inner_map(self.handle) if self.handle else 0
        self._inner: InnerDefinition | None = None
        if handle:  # read now: libbpf frees it at load
            self._inner = InnerDefinition(lambda what: int(getattr(library(), f"bpf_map__{what}")(handle)), True)

    def _by_id(self, number: int) -> M:
        return standalone(map_by_id(number), self._make)

    def __setitem__(self, key: K, value: M | Map | int) -> None:
        """Puts a map: from `create`, of an object, or by descriptor. Raises MapError, LayoutError, StateError."""
        self.put(key, value)  # type: ignore[arg-type]

    def set_inner(self, source: Map | int) -> None:
        """Sets, before load, the form of inner maps to that of an existing map or a map's descriptor.

        For an object that doesn't declare it. Raises MapError, StateError.
        """
        fd = descriptor(source)
        info = info_of(fd)
        self._set_attribute("inner_map_fd", fd)
        self._inner = InnerDefinition(lambda what: getattr(info, what), False)

    def create(self, max_entries: int = 0, name: str = "") -> M:
        """Creates an inner map of the declared form; unless it is put, it is gone with the last reference to it.

        The kernel accepts another `max_entries` than declared for hashes, and for arrays with BPF_F_INNER_MAP. Raises
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
        """Yields the keys and their maps now, without those that are removed meanwhile."""
        for key in self:
            try:
                found = self[key]
            except KeyError:
                continue
            yield key, found

    def _list_entries(self) -> list[tuple[K, M]]:
        return list(self.entries())

    def _pop(self, key: K) -> M:
        found = self[key]  # opened before it is removed, since nothing else may hold it
        del self[key]
        return found

    def _drain_entries(self) -> list[tuple[K, M]]:
        """Opens each map before it is removed; `drain(numpy=True)` returns ids only."""
        thread = threading.get_ident()
        kept = self._removed.setdefault(thread, [])
        for key in self:
            with DeferredSignals():  # until what is removed is kept: nothing else may hold it
                value = self.pop(key, None)
                kept += [] if value is None else [(key, value)]
        for taken in take_one(self._removed.pop, thread, None):
            return kept if taken is kept else []  # else a signal handler's drain has returned them
        raise AssertionError


class ArrayOfMaps(MapOfMaps[int, M]):
    """An array of maps; `make` comes from `inner`."""

    _repeats = True

    def __init__(self, owner: Owner, name: str, make: MapFactory[M]):
        super().__init__(owner, name, CTypes(NATIVE).u32, make)


class HashOfMaps(MapOfMaps[K, M]):
    """A hash of maps; `key` is a generated class or a codec, `make` comes from `inner`."""

    def __init__(self, owner: Owner, name: str, key: type[K] | Codec[K], make: MapFactory[M]):
        super().__init__(owner, name, codec_of(key), make)
