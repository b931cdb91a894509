"""Hashes and arrays as Python mappings, typed by the codecs of their keys and values."""

from __future__ import annotations

import ctypes
import errno
from collections.abc import ItemsView, Iterator, MutableMapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from .codec import Codec
from .ctype import CTypes
from .errors import ENOTSUPP, CallError, LayoutError, MapError
from .libbpf import library
from .maps import Map, codec_of

if TYPE_CHECKING:
    from .object import Object

K = TypeVar("K")
V = TypeVar("V")
T = TypeVar("T")

ANY, NOEXIST, EXIST = 0, 1, 2  # BPF_ANY, BPF_NOEXIST, BPF_EXIST of linux/bpf.h
BATCH = 256
# What a kernel without batch operations for this map answers: bpf(2) before 5.6, or a map type that has none.
NO_BATCH = (errno.EINVAL, errno.EOPNOTSUPP, ENOTSUPP)

FIXES = {
    errno.E2BIG: "the map is full or the index too high: raise max_entries before load",
    errno.EEXIST: "the key is there already: put it with ANY or EXIST",
    errno.EPERM: "the map is read-only for programs in user space, or frozen",
    errno.ENOMEM: "the kernel has no memory for another entry: try again, or preallocate (no BPF_F_NO_PREALLOC)",
}


class _PerCpu(Codec[tuple[T, ...]], Generic[T]):
    """A tuple with one value for each possible CPU, each at a multiple of 8 bytes (bpf(2))."""

    def __init__(self, one: Codec[T]):
        self.one, self.step = one, (one.size + 7) // 8 * 8
        self.count: int = library().libbpf_num_possible_cpus()
        super().__init__(one.order, f"{self.step * self.count}s", name=f"{one.name} per CPU")
        self.stated = one.size

    def unpack(self, data: Any, offset: int = 0) -> tuple[T, ...]:
        return tuple(self.one.unpack(data, offset + number * self.step) for number in range(self.count))

    def pack(self, value: tuple[T, ...]) -> bytes:
        if not isinstance(value, (tuple, list)) or len(value) != self.count:
            fix = f"give a tuple of {self.count} values, one for each possible CPU"
            raise LayoutError(f"{value!r} doesn't fit {self.name}", fix=fix)
        return b"".join(self.one.pack(each).ljust(self.step, b"\0") for each in value)


class KeyedMap(Map, MutableMapping[K, V]):
    """What hashes and arrays share.

    Iteration goes on while the kernel or this process adds and deletes: it gives each key at most once.
    """

    def __init__(self, owner: Object, name: str, key: Codec[K], value: Codec[V]):
        super().__init__(owner, name)
        self._key, self._value = key, value
        stated, known = (self.key_size, self.value_size), (key.size, value.stated)
        if stated != known:
            what = f"the map {name} has keys and values of {stated} bytes, its types have {known}"
            raise LayoutError(what, fix="generate the skeleton from this object")

    def _call(self, verb: str, *arguments: Any) -> None:
        """Calls bpf_map_<verb>. Raises KeyError for ENOENT and MapError for all else."""
        try:
            getattr(library(), f"bpf_map_{verb}")(self.fd, *arguments)
        except CallError as error:
            if error.errno == errno.ENOENT:
                raise KeyError from None
            raise MapError(f"{self.name}: {error.what}", fix=FIXES.get(error.errno, ""), errno=error.errno) from None

    def _lookup(self, packed: bytes) -> V:
        found = ctypes.create_string_buffer(self._value.size)
        self._call("lookup_elem", packed, found)
        return self._value.unpack(found.raw)

    def __getitem__(self, key: K) -> V:
        try:
            return self._lookup(self._key.pack(key))
        except KeyError:
            raise KeyError(key) from None

    def __setitem__(self, key: K, value: V) -> None:
        self.put(key, value)

    def put(self, key: K, value: V, flags: int = ANY) -> None:
        """Sets one entry: ANY, only a new one (NOEXIST), or only an old one (EXIST).

        Raises MapError (the map is full, the key is there), KeyError (it isn't), LayoutError.
        """
        try:
            self._call("update_elem", self._key.pack(key), self._value.pack(value), flags)
        except KeyError:
            raise KeyError(key) from None

    def __delitem__(self, key: K) -> None:
        try:
            self._call("delete_elem", self._key.pack(key))
        except KeyError:
            raise KeyError(key) from None

    def __iter__(self) -> Iterator[K]:
        return (key for key, _ in self.entries())

    def __len__(self) -> int:
        return sum(1 for _ in self.entries())

    def items(self) -> ItemsView[K, V]:
        """A view of the entries as (key, value), read in batches: quicker than a look-up for each key."""
        return _Items(self)

    def entries(self) -> Iterator[tuple[K, V]]:
        """The entries now, by batches of the kernel's where it has them (Linux 5.6), else key by key."""
        try:
            yield from self._batches()
        except MapError as error:
            if error.errno not in NO_BATCH:
                raise
            yield from self._walk()

    def _batches(self) -> Iterator[tuple[K, V]]:
        room, before, more = BATCH, None, True
        while more:
            # The kernel's place in the map: 4 bytes in a hash, a key elsewhere.
            after, count = ctypes.create_string_buffer(max(4, self._key.size)), ctypes.c_uint(room)
            keys, values = (ctypes.create_string_buffer(room * codec.size) for codec in (self._key, self._value))
            try:
                self._call("lookup_batch", before, after, keys, values, count, None)
            except KeyError:
                more = False
            except MapError as error:
                if error.errno != errno.ENOSPC:  # one bucket holds more than there is room for
                    raise
                room *= 2
                continue
            for number in range(count.value):
                yield (
                    self._key.unpack(keys, number * self._key.size),
                    self._value.unpack(values, number * self._value.size),
                )
            before = after

    def _walk(self) -> Iterator[tuple[K, V]]:
        """Key by key. A key deleted meanwhile sends the kernel back to the first one, hence `seen` and the limit."""
        seen: set[bytes] = set()
        following = self._after(None)
        for _ in range(4 * self.max_entries + 4):
            if following is None:
                return
            packed, following = following, self._after(following)
            if packed in seen:
                continue
            seen.add(packed)
            try:
                value = self._lookup(packed)
            except KeyError:
                continue
            yield self._key.unpack(packed), value

    def _after(self, packed: bytes | None) -> bytes | None:
        key = ctypes.create_string_buffer(self._key.size)
        try:
            self._call("get_next_key", packed, key)
        except KeyError:
            return None
        return key.raw


class _Items(ItemsView[K, V]):
    def __init__(self, shown: KeyedMap[K, V]):
        super().__init__(shown)
        self._shown = shown

    def __iter__(self) -> Iterator[tuple[K, V]]:
        return self._shown.entries()


class Hash(KeyedMap[K, V]):
    """A hash, LRU hash or LPM trie. `key` and `value` are generated classes or codecs."""

    def __init__(self, owner: Object, name: str, key: type[K] | Codec[K], value: type[V] | Codec[V]):
        super().__init__(owner, name, codec_of(key), codec_of(value))


class PerCpuHash(KeyedMap[K, tuple[V, ...]]):
    """A per-CPU hash, LRU or not: each value is a tuple, one element for each possible CPU."""

    def __init__(self, owner: Object, name: str, key: type[K] | Codec[K], value: type[V] | Codec[V]):
        super().__init__(owner, name, codec_of(key), _PerCpu(codec_of(value)))


class _Indexed(KeyedMap[int, V]):
    """Keys are 0 … max_entries - 1, and all of them are always there."""

    def __init__(self, owner: Object, name: str, order: str, value: Codec[V]):
        super().__init__(owner, name, CTypes(order).u32, value)

    def __len__(self) -> int:
        return self.max_entries

    def __delitem__(self, key: int) -> None:
        raise MapError(f"{self.name} is an array, whose elements can't be deleted", fix="set the element to zero")


class Array(_Indexed[V]):
    """An array as a mapping from its indexes. `value` is a generated class or a codec."""

    def __init__(self, owner: Object, name: str, value: type[V] | Codec[V]):
        plain: Codec[V] = codec_of(value)
        super().__init__(owner, name, plain.order, plain)


class PerCpuArray(_Indexed[tuple[V, ...]]):
    """A per-CPU array: each value is a tuple, one element for each possible CPU."""

    def __init__(self, owner: Object, name: str, value: type[V] | Codec[V]):
        plain: Codec[V] = codec_of(value)
        super().__init__(owner, name, plain.order, _PerCpu(plain))
