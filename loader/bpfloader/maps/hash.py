"""Hashes and arrays as Python mappings, typed by the codecs of their keys and values."""

from __future__ import annotations

import contextlib
import ctypes
import errno
from collections.abc import ItemsView, Iterable, Iterator, Mapping, MutableMapping, ValuesView
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, overload

from ..codec.base import Codec, of_map, pack_for
from ..codec.c_types import CTypes
from ..errors import ENOTSUPP, LayoutError, MapError
from ..rings.callback import TableNames
from . import batch as bulk
from .base import PER_CPU, Map, codec_of
from .views import Items, Values

if TYPE_CHECKING:
    from typing import Literal

    from ..object.bpf_object import Object
    from .standalone import Alone

K = TypeVar("K")
V = TypeVar("V")
T = TypeVar("T")

ANY, NOEXIST, EXIST, LOCK = 0, 1, 2, 4  # BPF_ANY, BPF_NOEXIST, BPF_EXIST, BPF_F_LOCK of linux/bpf.h
MISSING: Any = object()


class KeyedMap(TableNames, Map, MutableMapping[K, V]):
    """What hashes and arrays share.

    Iteration goes on while the kernel or this process adds and deletes: it gives each key at most once.
    """

    _batch_flags: ClassVar[int] = LOCK  # those that the kernel takes for many entries at once
    _batches: ClassVar[bool] = True  # whether writing goes by batches
    _repeats: ClassVar[bool] = False  # whether batches may give a key twice: a deleted one starts them again
    _per_cpu: ClassVar[bool] = False

    def __init__(self, owner: Object | Alone, name: str, key: Codec[K], value: Codec[V]):
        super().__init__(owner, name)
        self._key, self._value = key, value
        if self._per_cpu != (self.type in PER_CPU):  # else the kernel would write beyond a value's bytes
            what = f"the map {name} has type {self.type}, which is no {type(self).__name__}"
            raise LayoutError(what, fix="generate the skeleton from this object")
        stated, known = (self.key_size, self.value_size), (key.size, value.stated)
        if stated != known:
            what = f"the map {name} has keys and values of {stated} bytes, its types have {known}"
            raise LayoutError(what, fix="generate the skeleton from this object")

    def _resize(self, part: str, size: int) -> None:
        """Raises LayoutError unless keys or values are plain bytes, which may have any size."""
        codec = self._key if part == "key" else self._value
        plain = codec.element if self._per_cpu and part == "value" else codec
        if not plain or plain.name != f"__u8[{plain.size}]":
            what = f"the {part}s of {self.name} are {codec.name or codec.code}, which has {codec.stated} bytes"
            raise LayoutError(what, fix="change the type in the program, or open the object without its skeleton")
        super()._resize(part, size)
        made: Any = CTypes(codec.order).raw(size)
        setattr(self, f"_{part}", type(codec)(made) if plain is not codec else made)  # type: ignore[call-arg]

    def lookup(self, key: K, flags: int = ANY) -> V:
        """One value; with LOCK whole, where programs and others change it under its bpf_spin_lock.

        Raises KeyError, LayoutError, MapError.
        """
        try:
            return self._value.unpack(self._read(self._key.pack(key), flags))
        except KeyError:
            raise KeyError(key) from None
        except LayoutError as error:
            raise of_map(self, error) from None

    def _read(self, packed: bytes, flags: int = ANY) -> bytes:
        found = ctypes.create_string_buffer(self._value.size)
        if flags:
            self._call("lookup_elem_flags", packed, found, flags)
        else:
            self._call("lookup_elem", packed, found)
        return found.raw

    def _taken(self, packed: bytes) -> bytes:
        """The bytes of a value that is deleted in the same step; in two where the kernel can't (before Linux 5.14)."""
        found = ctypes.create_string_buffer(self._value.size)
        try:
            self._call("lookup_and_delete_elem", packed, found)
            return found.raw
        except MapError as error:
            if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP, ENOTSUPP):
                raise
        value = self._read(packed)
        self._call("delete_elem", packed)
        return value

    def __getitem__(self, key: K) -> V:
        return self.lookup(key)

    def __setitem__(self, key: K, value: V) -> None:
        self.put(key, value)

    def put(self, key: K, value: V, flags: int = ANY) -> None:
        """Sets one entry: ANY, only a new one (NOEXIST), or only an old one (EXIST); LOCK under its bpf_spin_lock.

        Raises MapError (the map is full, the key is there), KeyError (it isn't), LayoutError.
        """
        try:
            self._call("update_elem", self._key.pack(key), self._value.pack(value), flags)
        except KeyError:
            raise KeyError(key) from None
        except LayoutError as error:
            raise of_map(self, error) from None

    def _put_each(self, entries: Iterable[tuple[K, V]], flags: int) -> None:
        for key, value in entries:
            self.put(key, value, flags)

    def __delitem__(self, key: K) -> None:
        if not self._discard(pack_for(self, self._key, key)):
            raise KeyError(key)

    def _discard(self, packed: bytes) -> bool:
        """Whether the key was there; it is deleted."""
        try:
            self._call("delete_elem", packed)
        except KeyError:
            return False
        return True

    @overload
    def pop(self, key: K) -> V: ...

    @overload
    def pop(self, key: K, default: V | T) -> V | T: ...

    def pop(self, key: K, default: Any = MISSING) -> Any:
        """The value of a key, which is deleted in the same step; the default where there is none. Raises KeyError."""
        try:
            return self._pop(key)
        except KeyError:
            if default is MISSING:
                raise KeyError(key) from None
            return default

    def _pop(self, key: K) -> V:
        return self._value.unpack(self._taken(pack_for(self, self._key, key)))

    def popitem(self) -> tuple[K, V]:
        """An entry, which is deleted. Raises KeyError for a map without one."""
        for key in self:
            with contextlib.suppress(KeyError):  # it went meanwhile
                return key, self._pop(key)
        raise KeyError(f"{self.name} is empty")

    def update(  # type: ignore[override]
        self, entries: Mapping[K, V] | Iterable[tuple[K, V]] = (), /, flags: int = ANY
    ) -> None:
        """Sets many entries, in as few calls as the kernel allows; `flags` as for `put`.

        Raises what `put` does, for the first entry that it refuses: those before it are set.
        """
        pairs = entries.items() if isinstance(entries, Mapping) else entries
        bulk.write(self, pairs, flags)

    def delete(self, keys: Iterable[K]) -> int:
        """How many of these keys were there; they are deleted, in as few calls as the kernel allows."""
        return bulk.delete(self, keys)

    def clear(self) -> None:
        """Deletes the entries that are there now."""
        for _ in bulk.chunks(self, take=True):
            pass

    def __iter__(self) -> Iterator[K]:
        column = bulk.Column(self._key)
        for chunk in bulk.chunks(self):
            yield from column(chunk.keys)

    def __len__(self) -> int:
        return sum(chunk.number for chunk in bulk.chunks(self))

    def items(self) -> ItemsView[K, V]:
        """A view of the entries as (key, value), read in batches: quicker than a look-up for each key."""
        return Items(self)

    def values(self) -> ValuesView[V]:
        """A view of the values, read in batches."""
        return Values(self)

    def entries(self) -> Iterator[tuple[K, V]]:
        """The entries now, by batches of the kernel's where it has them (Linux 5.6), else key by key."""
        keys, values = bulk.Column(self._key), bulk.Column(self._value)
        for chunk in bulk.chunks(self):
            yield from zip(keys(chunk.keys), values(chunk.values))

    @overload
    def batch(self, *, numpy: Literal[True]) -> tuple[Any, Any]: ...

    @overload
    def batch(self, *, numpy: Literal[False] = False) -> list[tuple[K, V]]: ...

    def batch(self, *, numpy: bool = False) -> Any:
        """All entries now as a list of pairs; with `numpy` as two arrays, of keys and of values, row by row.

        Structs are structured arrays (see arrays.py), per-CPU values have a column for each CPU. Raises MapError;
        LibraryError where there is no numpy.
        """
        return bulk.columns(self, bulk.chunks(self)) if numpy else self._listed()

    def _listed(self) -> list[tuple[K, V]]:
        return bulk.pairs(self, bulk.chunks(self))

    def tuples(self) -> list[tuple[tuple[Any, ...], tuple[Any, ...]]]:
        """As `batch`, but key and value as tuples of what lies in memory, which is twice as fast for structs.

        Integers and floats are numbers, all else is bytes, as for RingBuffer.tuples. Raises MapError.
        """
        return bulk.rows(self, bulk.chunks(self))

    @overload
    def drain(self, *, numpy: Literal[True]) -> tuple[Any, Any]: ...

    @overload
    def drain(self, *, numpy: Literal[False] = False) -> list[tuple[K, V]]: ...

    def drain(self, *, numpy: bool = False) -> Any:
        """What `batch` gives, and each entry is deleted in the step that reads it: none is counted twice or missed."""
        return bulk.columns(self, bulk.chunks(self, take=True)) if numpy else self._drained()

    def _drained(self) -> list[tuple[K, V]]:
        return bulk.pairs(self, bulk.chunks(self, take=True))

    def _after(self, packed: bytes | None) -> bytes | None:
        key = ctypes.create_string_buffer(self._key.size)
        try:
            self._call("get_next_key", packed, key)
        except KeyError:
            return None
        return key.raw


class Hash(KeyedMap[K, V]):
    """A hash or LRU hash. `key` and `value` are generated classes or codecs."""

    def __init__(self, owner: Object | Alone, name: str, key: type[K] | Codec[K], value: type[V] | Codec[V]):
        super().__init__(owner, name, codec_of(key), codec_of(value))
