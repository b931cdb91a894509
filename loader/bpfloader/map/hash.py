"""Makes maps with keys Python mappings, typed by the codecs of their keys and values."""

from __future__ import annotations

import contextlib
from collections.abc import ItemsView, Iterable, Iterator, Mapping, MutableMapping, ValuesView
from typing import TYPE_CHECKING, Any, TypeVar, overload

from ..codec.base import Codec, map_layout_error, pack_for
from ..errors import LayoutError
from .base import ANY, codec_of
from .batch import Column, Entries

if TYPE_CHECKING:
    from typing import Literal

    from ..owner import Owner

K = TypeVar("K")
V = TypeVar("V")
T = TypeVar("T")

MISSING: Any = object()


class Items(ItemsView[K, V]):
    """A map's items, iterated by batches."""

    def __init__(self, source: KeyedMap[K, V]):
        super().__init__(source)
        self._entries = source.entries

    def __iter__(self) -> Iterator[tuple[K, V]]:
        return self._entries()


class Values(ValuesView[V]):
    """A map's values, iterated by batches."""

    def __init__(self, source: KeyedMap[Any, V]):
        super().__init__(source)
        self._entries = source.entries

    def __iter__(self) -> Iterator[V]:
        return (value for _, value in self._entries())


class KeyedMap(Entries[K, V], MutableMapping[K, V]):
    """A map with keys as a Python mapping. Base of hashes and arrays.

    Iteration goes on while the kernel or this process adds and deletes entries; it yields each key at most once.
    """

    def lookup(self, key: K, flags: int = ANY) -> V:
        """Returns a value; with LOCK whole, if programs and others change it under its bpf_spin_lock.

        Raises KeyError, LayoutError, MapError.
        """
        try:
            return self._value.unpack(self._lookup(self._key.pack(key), flags))
        except KeyError:
            raise KeyError(key) from None
        except LayoutError as error:
            raise map_layout_error(self, error) from None

    def __getitem__(self, key: K) -> V:
        return self.lookup(key)

    def __setitem__(self, key: K, value: V) -> None:
        self.put(key, value)

    def __delitem__(self, key: K) -> None:
        if not self._discard(pack_for(self, self._key, key)):
            raise KeyError(key)

    @overload
    def pop(self, key: K) -> V: ...

    @overload
    def pop(self, key: K, default: V | T) -> V | T: ...

    def pop(self, key: K, default: Any = MISSING) -> Any:
        """Returns a key's value and deletes it atomically; the default if there is none. Raises KeyError."""
        try:
            return self._pop(key)
        except KeyError:
            if default is MISSING:
                raise KeyError(key) from None
            return default

    def _pop(self, key: K) -> V:
        return self._value.unpack(self._lookup_and_delete(pack_for(self, self._key, key)))

    def popitem(self) -> tuple[K, V]:
        """Returns an entry and deletes it. Raises KeyError for an empty map."""
        for key in self:
            with contextlib.suppress(KeyError):  # another one deleted it meanwhile
                return key, self._pop(key)
        raise KeyError(f"{self.name} is empty")

    def update(  # type: ignore[override]
        self, entries: Mapping[K, V] | Iterable[tuple[K, V]] = (), /, flags: int = ANY
    ) -> None:
        """Sets many entries in as few calls as the kernel allows; `flags` as for `put`.

        Raises as `put` does for the first entry that is refused; the entries before it are set.
        """
        pairs = entries.items() if isinstance(entries, Mapping) else entries
        self._put_batches(pairs, flags)

    def clear(self) -> None:
        """Deletes the entries that exist now."""
        for _ in self._chunks(delete=True):
            pass

    def __iter__(self) -> Iterator[K]:
        column = Column(self._key)
        for chunk in self._entries_now():
            yield from column(chunk.keys)

    def __len__(self) -> int:
        return sum(chunk.number for chunk in self._chunks())

    def items(self) -> ItemsView[K, V]:
        """Returns a view of the entries as (key, value), read by batches: faster than a look-up for each key."""
        return Items(self)

    def values(self) -> ValuesView[V]:
        """Returns a view of the values, read by batches."""
        return Values(self)

    def entries(self) -> Iterator[tuple[K, V]]:
        """Yields the entries now, read by batches if the kernel has them (Linux 5.6), else key by key."""
        keys, values = Column(self._key), Column(self._value)
        for chunk in self._entries_now():
            yield from zip(keys(chunk.keys), values(chunk.values))

    @overload
    def batch(self, *, numpy: Literal[True]) -> tuple[Any, Any]: ...

    @overload
    def batch(self, *, numpy: Literal[False] = False) -> list[tuple[K, V]]: ...

    def batch(self, *, numpy: bool = False) -> Any:
        """Returns all entries now as a list of pairs; with `numpy` as two arrays, of keys and of values, row by row.

        Structs are structured arrays (see codec/numpy_records.py), per-CPU values have a column for each CPU. Raises
        MapError; LibraryError without numpy.
        """
        return self._columns(self._entries_now()) if numpy else self._list_entries()

    def _list_entries(self) -> list[tuple[K, V]]:
        return self._pairs(self._entries_now())

    def tuples(self) -> list[tuple[tuple[Any, ...], tuple[Any, ...]]]:
        """Returns the same as `batch`, with keys and values as tuples of their members: twice as fast for structs.

        Integers and floats are numbers, other types are bytes, as for RingBuffer.tuples. Raises MapError.
        """
        return self._rows(self._entries_now())

    @overload
    def drain(self, *, numpy: Literal[True]) -> tuple[Any, Any]: ...

    @overload
    def drain(self, *, numpy: Literal[False] = False) -> list[tuple[K, V]]: ...

    def drain(self, *, numpy: bool = False) -> Any:
        """Returns the same as `batch` and deletes each entry as it is read: none is counted twice or missed.

        What an exception keeps from the caller, such as a KeyboardInterrupt, this thread's next `drain` returns.
        """
        return self._drain(self._columns) if numpy else self._drain_entries()

    def _drain_entries(self) -> list[tuple[K, V]]:
        return self._drain(self._pairs)

    # The same by their names in bcc's tables, for code that comes from bcc.

    def items_lookup_batch(self) -> Iterator[tuple[K, V]]:
        """Yields all entries, as `batch` returns them."""
        return iter(self.batch())

    def items_lookup_and_delete_batch(self) -> Iterator[tuple[K, V]]:
        """Yields all entries and deletes them, as `drain` does."""
        return iter(self.drain())

    def items_update_batch(self, keys: Iterable[K], values: Iterable[V]) -> None:
        """Sets a value for each key, as `update` does."""
        self.update(zip(keys, values))

    def items_delete_batch(self, keys: Iterable[K] | None = None) -> None:
        """Deletes these keys as `delete` does, or all of them as `clear` does."""
        self.clear() if keys is None else self.delete(keys)


class Hash(KeyedMap[K, V]):
    """A hash or LRU hash. `key` and `value` are generated classes or codecs."""

    def __init__(self, owner: Owner, name: str, key: type[K] | Codec[K], value: type[V] | Codec[V]):
        super().__init__(owner, name, codec_of(key), codec_of(value))
