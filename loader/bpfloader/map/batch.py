"""Reads and writes many entries of a map in one system call if the kernel can (Linux 5.6), else one by one.

The kernel copies keys into one array and values into another; struct.iter_unpack decodes them, or numpy views them.
"""

from __future__ import annotations

import ctypes
import errno
import gc
import struct as structs
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, ClassVar, Generic, NamedTuple, TypeVar

from ..codec.base import Codec, map_layout_error, pack_for
from ..codec.c_types import CTypes
from ..errors import ENOTSUPP, LayoutError, MapError, warn
from ..libbpf.structs import BatchOptions, sized
from ..signals import DeferredSignals, take_one
from .base import ANY, LOCK, PER_CPU, Map

if TYPE_CHECKING:
    from ..owner import Owner

K = TypeVar("K")
V = TypeVar("V")
T = TypeVar("T")
NATIVE_ORDERS = "<=" if sys.byteorder == "little" else ">="
CASTABLE_CODES = tuple("bBhHiIqQfd")  # codes that memoryview.cast accepts, of the same size as struct's standard ones
FIRST_BATCH, LARGEST_BATCH = 256, 8192  # entries a call
CHECKED_KEYS = FIRST_BATCH  # of a map: where programs don't zero keys, the first ones show it
# Errors of a kernel without batch operations for a map: bpf(2) before 5.6, or a map type that has none. Until Linux
# 6.14, generic_map_lookup_batch (kernel/bpf/syscall.c) returned EINTR if it met several keys without a value.
NO_BATCH = (errno.EINVAL, errno.EOPNOTSUPP, ENOTSUPP, errno.EINTR)


class Chunk(NamedTuple):
    """The bytes of a number of entries: all keys one after another, all values one after another."""

    keys: Any
    values: Any
    number: int


class Column:
    """Decodes values of one codec that lie one after another, `stride` bytes apart (0: the codec's size)."""

    def __init__(self, codec: Codec[Any], stride: int = 0):
        codes, self.build = codec.item_layout()
        self.decode, self.single = codec.decode, codes == codec.code  # single: an item is a value, but for `decode`
        stride = stride or codec.size
        self.packer = structs.Struct(f"{codec.order}{codes}{stride - codec.size}x")
        self.array: Any = (
            codes if codec.order in NATIVE_ORDERS and codes in CASTABLE_CODES and stride == codec.size else ""
        )

    def __call__(self, data: Any) -> Iterator[Any]:
        if not self.single:
            return map(self.build, self.packer.iter_unpack(data))
        if self.array:  # numbers that need no decoding: avoids a tuple for each
            items: Iterator[Any] = iter(memoryview(data).cast("B").cast(self.array).tolist())
        else:
            items = chain.from_iterable(self.packer.iter_unpack(data))
        return map(self.decode, items) if self.decode else items


class Entries(Map, Generic[K, V]):
    """A map with keys, read, set and deleted by batches if the kernel has them, else entry by entry.

    Base of KeyedMap, which makes a Python mapping of it.
    """

    _batch_flags: ClassVar[int] = LOCK  # the flags that the kernel accepts for batches
    _batch_writes: ClassVar[bool] = True  # False where the kernel can't write by batches
    _repeats: ClassVar[bool] = False  # True if batches may repeat keys: a deleted key makes the kernel start again
    _per_cpu: ClassVar[bool] = False
    _unchecked = CHECKED_KEYS  # keys that are still to be looked at for bytes that no member shows

    def __init__(self, owner: Owner, name: str, key: Codec[K], value: Codec[V]):
        super().__init__(owner, name)
        self._key, self._value = key, value
        # What each thread's drain has deleted and not returned: an exception leaves it here for the next one.
        self._drained: dict[int, list[Chunk]] = {}
        if self._per_cpu != (self.type in PER_CPU):  # the kernel would write beyond a value's bytes
            what = f"the map {name} has type {self.type}, which is no {type(self).__name__}"
            raise LayoutError(what, fix="generate the skeleton from this object")
        actual, expected = (self.key_size, self.value_size), (key.size, value.value_size)
        if actual != expected:
            what = f"the map {name} has keys and values of {actual} bytes, its types have {expected}"
            raise LayoutError(what, fix="generate the skeleton from this object")

    def _resize(self, part: str, size: int) -> None:
        """Changes the size of keys or values that are plain bytes. Raises LayoutError for other types."""
        codec = self._key if part == "key" else self._value
        plain = codec.element if self._per_cpu and part == "value" else codec
        if not plain or plain.name != f"__u8[{plain.size}]":
            what = f"the {part}s of {self.name} are {codec.name or codec.code}, which has {codec.value_size} bytes"
            raise LayoutError(what, fix="change the type in the program, or open the object without its skeleton")
        super()._resize(part, size)
        raw: Any = CTypes(codec.order).raw(size)
        setattr(self, f"_{part}", type(codec)(raw) if plain is not codec else raw)  # type: ignore[call-arg]

    def _lookup(self, packed: bytes, flags: int = ANY) -> bytes:
        found = ctypes.create_string_buffer(self._value.size)
        if flags:
            self._call("lookup_elem_flags", packed, found, flags)
        else:
            self._call("lookup_elem", packed, found)
        return found.raw

    def _lookup_and_delete(self, packed: bytes) -> bytes:
        """Returns the bytes of a value and deletes it, atomically but on kernels that can't (before Linux 5.14)."""
        found = ctypes.create_string_buffer(self._value.size)
        try:
            self._call("lookup_and_delete_elem", packed, found)
            return found.raw
        except MapError as error:
            if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP, ENOTSUPP):
                raise
        value = self._lookup(packed)
        self._call("delete_elem", packed)
        return value

    def put(self, key: K, value: V, flags: int = ANY) -> None:
        """Sets an entry: ANY, only a new one (NOEXIST), or only an existing one (EXIST); LOCK takes its bpf_spin_lock.

        Raises MapError (the map is full, the key exists), KeyError (it doesn't), LayoutError.
        """
        try:
            self._call("update_elem", self._key.pack(key), self._value.pack(value), flags)
        except KeyError:
            raise KeyError(key) from None
        except LayoutError as error:
            raise map_layout_error(self, error) from None

    def _put_each(self, entries: Iterable[tuple[K, V]], flags: int) -> None:
        for key, value in entries:
            self.put(key, value, flags)

    def _discard(self, packed: bytes) -> bool:
        """Deletes a key; returns False if there is none."""
        try:
            self._call("delete_elem", packed)
        except KeyError:
            return False
        return True

    def _next_key(self, packed: bytes | None) -> bytes | None:
        key = ctypes.create_string_buffer(self._key.size)
        try:
            self._call("get_next_key", packed, key)
        except KeyError:
            return None
        return key.raw

    def _chunks(self, delete: bool = False) -> Iterator[Chunk]:
        """Yields the entries now, each key at most once, and with `delete` deletes them."""
        found = self._read_chunks(delete)
        return self._without_repeats(found) if self._repeats else found

    def _entries_now(self) -> Iterable[Chunk]:
        """Returns the entries now. Warns once of a key with bytes that no member shows: several may look the same."""
        return self._check(self._chunks()) if self._is_to_check() else self._chunks()

    def _is_to_check(self) -> bool:
        if self._unchecked == CHECKED_KEYS:  # none is checked yet: can any byte of such a key be without a member?
            patterns = ((pair * self._key.size)[: self._key.size] for pair in (b"\0\xff", b"\xff\0"))
            self._unchecked = CHECKED_KEYS if any(map(self._shows_less, patterns)) else 0
        return bool(self._unchecked)

    def _drain(self, decode: Callable[[list[Chunk]], T]) -> T:
        """Deletes all entries and returns what `decode` makes of them. Loses none, whatever is raised meanwhile."""
        if self._is_to_check():  # first, so that a warning that is an exception takes nothing with it
            next(iter(self._entries_now()), None)
        thread, found = threading.get_ident(), iter(self._chunks(delete=True))
        kept = self._drained.setdefault(thread, [])
        more = True
        while more:
            with DeferredSignals():  # until what the kernel has deleted is kept
                chunk = next(found, None)
                kept += [chunk] if chunk else []
                more = chunk is not None
        result = decode(kept)
        for taken in take_one(self._drained.pop, thread, None):
            return result if taken is kept else decode([])  # else a signal handler's drain has returned them
        raise AssertionError

    def _check(self, found: Iterable[Chunk]) -> Iterator[Chunk]:
        size = self._key.size
        for chunk in found:
            for start in range(0, size * min(chunk.number, self._unchecked), size):
                packed = bytes(chunk.keys[start : start + size])
                self._unchecked -= 1
                if self._shows_less(packed):
                    self._unchecked = 0
                    what = f"{self.name}: the key {self._key.unpack(packed)!r} holds bytes that no member shows, "
                    what += "padding or text behind its NUL: keys that differ in them are equal here, and "
                    what += "a look-up misses them"
                    fix = "zero the key in the program first: __builtin_memset(&key, 0, sizeof(key))"
                    warn(f"{what}; {fix}")
                    break
            yield chunk

    def _shows_less(self, packed: bytes) -> bool:
        """Returns True if a key isn't made of its members alone."""
        try:
            return self._key.pack(self._key.unpack(packed)) != packed
        except LayoutError:
            return False

    def _read_chunks(self, delete: bool) -> Iterator[Chunk]:
        try:
            yield from self._lookup_batches("lookup_and_delete_batch" if delete else "lookup_batch")
        except MapError as error:
            if error.errno not in NO_BATCH:
                raise
            yield from self._chunks_by_key(delete)

    def _lookup_batches(self, verb: str) -> Iterator[Chunk]:
        capacity, before, more = min(FIRST_BATCH, max(1, self.max_entries)), None, True
        sizes = self._key.size, self._value.size
        while more:
            # The kernel's position in the map: 4 bytes for a hash, a key for other types.
            after, count = ctypes.create_string_buffer(max(4, sizes[0])), ctypes.c_uint(capacity)
            keys, values = ((ctypes.c_char * (capacity * size))() for size in sizes)
            try:
                self._call(verb, before, after, keys, values, count, None)
            except KeyError:
                more = False
            except MapError as error:
                # ENOSPC: a bucket of the hash holds more entries than `capacity`.
                if error.errno != errno.ENOSPC or capacity > self.max_entries:
                    raise
                capacity *= 2
                continue
            if count.value:
                filled = [memoryview(part)[: count.value * size] for part, size in zip((keys, values), sizes)]
                yield Chunk(filled[0], filled[1], count.value)
            before, capacity = after, max(capacity, min(2 * capacity, LARGEST_BATCH))

    def _without_repeats(self, found: Iterable[Chunk]) -> Iterator[Chunk]:
        """Yields each entry once; ends as _entries_by_key does where the kernel starts again and again."""
        seen: set[bytes] = set()
        sizes, left = (self._key.size, self._value.size), 4 * self.max_entries + 4
        for chunk in found:
            rows = ((bytes(chunk.keys[n * sizes[0] :][: sizes[0]]), chunk.values[n * sizes[1] :][: sizes[1]])
                    for n in range(chunk.number))  # fmt: skip
            new = dict(row for row in rows if row[0] not in seen)
            seen.update(new)
            yield Chunk(b"".join(new), b"".join(new.values()), len(new))
            left -= chunk.number
            if left < 0:
                return

    def _chunks_by_key(self, delete: bool) -> Iterator[Chunk]:
        entries = self._entries_by_key(delete)
        while rows := list(islice(entries, FIRST_BATCH)):
            yield Chunk(b"".join(key for key, _ in rows), b"".join(value for _, value in rows), len(rows))

    def _entries_by_key(self, delete: bool) -> Iterator[tuple[bytes, bytes]]:
        """Yields the entries one by one. A deleted key sends the kernel back to the first, hence `seen` and a limit."""
        seen: set[bytes] = set()
        following = self._next_key(None)
        for _ in range(4 * (self.max_entries or 1 << 20) + 4):
            if following is None:
                return
            packed, following = following, self._next_key(following)
            if packed in seen:
                continue
            seen.add(packed)
            try:
                value = self._lookup_and_delete(packed) if delete else self._lookup(packed)
            except KeyError:
                continue
            yield packed, value

    def _pairs(self, found: Iterable[Chunk]) -> list[tuple[K, V]]:
        """Decodes the entries of all chunks."""
        keys, values = Column(self._key), Column(self._value)
        return _collected(zip(keys(chunk.keys), values(chunk.values)) for chunk in found)

    def _rows(self, found: Iterable[Chunk]) -> list[tuple[tuple[Any, ...], tuple[Any, ...]]]:
        """Returns the entries of all chunks as tuples of the items that lie in memory."""
        keys, values = Column(self._key).packer, Column(self._value).packer
        pairs = (zip(keys.iter_unpack(chunk.keys), values.iter_unpack(chunk.values)) for chunk in found)
        return _collected(pairs)

    def _columns(self, found: Iterable[Chunk]) -> tuple[Any, Any]:
        """Returns the entries as two numpy arrays, of keys and of values. Raises LibraryError without numpy."""
        from ..codec.numpy_records import ArrayDecoder

        kept = list(found)
        keys = ArrayDecoder(self._key, 0, self._key.size)
        per_cpu = self._value.element if self._per_cpu else None
        values = ArrayDecoder(per_cpu or self._value, 0, (per_cpu.size + 7) // 8 * 8 if per_cpu else self._value.size)
        rows = values.join([values.decode_run(memoryview(chunk.values))[0] for chunk in kept])
        if per_cpu:
            rows = rows.reshape(-1, self._value.size // values.stride, *rows.shape[1:])
        return keys.join([keys.decode_run(memoryview(chunk.keys))[0] for chunk in kept]), rows

    def _put_batches(self, entries: Iterable[tuple[K, V]], flags: int) -> None:
        """Sets entries in as few calls as possible. Raises as `put` does, for the first entry that is refused."""
        options, rows = sized(BatchOptions, elem_flags=flags), iter(entries)
        while batch := list(islice(rows, LARGEST_BATCH)):
            if flags & ~self._batch_flags or not self._batch_writes:
                self._put_each(batch, flags)
                continue
            keys = b"".join(pack_for(self, self._key, key) for key, _ in batch)
            values = b"".join(pack_for(self, self._value, value) for _, value in batch)
            try:
                self._call("update_batch", keys, values, ctypes.c_uint(len(batch)), options)
            except (MapError, KeyError):
                # One by one again, which is harmless, to say which entry is refused and why.
                self._put_each(batch, flags)

    def delete(self, keys: Iterable[K]) -> int:
        """Deletes keys in as few calls as possible; returns how many existed."""
        rows, deleted = iter(keys), 0
        while batch := [pack_for(self, self._key, key) for key in islice(rows, LARGEST_BATCH)]:
            start = 0
            while start < len(batch):
                count = ctypes.c_uint(len(batch) - start)
                try:
                    self._call("delete_batch", b"".join(batch[start:]), count, None)
                except KeyError:
                    deleted, start = deleted + count.value, start + count.value + 1  # the next key doesn't exist
                except MapError as error:
                    if error.errno not in NO_BATCH:
                        raise
                    left = chain(batch[start:], map(self._key.pack, rows))
                    return deleted + sum(map(self._discard, left))
                else:
                    deleted, start = deleted + count.value, len(batch)
        return deleted


def _collected(chunks: Iterable[Iterable[T]]) -> list[T]:
    """Joins all chunks in one list, with the garbage collector off.

    All new objects are kept, and searching them for cycles again and again takes as long as creating them.
    """
    result: list[T] = []
    collecting = gc.isenabled()
    gc.disable()
    try:
        for chunk in chunks:
            result.extend(chunk)
    finally:
        if collecting:
            gc.enable()
    return result
