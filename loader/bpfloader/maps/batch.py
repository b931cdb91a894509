"""Many entries of a map in one system call, where the kernel has that for the map's type (Linux 5.6), else one by one.

The kernel copies keys into one array and values into another; these are decoded by struct.iter_unpack, or taken as
numpy arrays as they are.
"""

from __future__ import annotations

import ctypes
import errno
import gc
import struct as structs
import sys
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from ..codec.base import Codec, pack_for
from ..errors import ENOTSUPP, MapError
from ..libbpf.structs import BatchOptions, sized

if TYPE_CHECKING:
    from .hash import KeyedMap

T = TypeVar("T")
NATIVE = "<=" if sys.byteorder == "little" else ">="
NUMBERS = tuple("bBhHiIqQfd")  # what memoryview.cast takes, of the same size as in struct's standard ones
FIRST, MOST = 256, 8192  # entries a call
# What a kernel without batch operations for this map answers: bpf(2) before 5.6, or a map type that has none. EINTR is
# what generic_map_lookup_batch (kernel/bpf/syscall.c) said until Linux 6.14 where it met several keys without a value.
NO_BATCH = (errno.EINVAL, errno.EOPNOTSUPP, ENOTSUPP, errno.EINTR)


class Chunk(NamedTuple):
    """The bytes of a number of entries: keys one after another, values one after another."""

    keys: Any
    values: Any
    number: int


class Column:
    """Decodes values of one codec that lie one after another, each `step` bytes from the one before."""

    def __init__(self, codec: Codec[Any], step: int = 0):
        codes, self.build = codec.body()
        self.decode, self.single = codec.decode, codes == codec.code  # an item is a value, but for its decode
        self.packer = structs.Struct(f"{codec.order}{codes}{(step or codec.size) - codec.size}x")
        self.array: Any = codes if codec.order in NATIVE and codes in NUMBERS and step in (0, codec.size) else ""

    def __call__(self, data: Any) -> Iterator[Any]:
        if not self.single:
            return map(self.build, self.packer.iter_unpack(data))
        if self.array:  # numbers as they are: no tuple for each
            items: Iterator[Any] = iter(memoryview(data).cast("B").cast(self.array).tolist())
        else:
            items = chain.from_iterable(self.packer.iter_unpack(data))
        return map(self.decode, items) if self.decode else items


def chunks(of: KeyedMap[Any, Any], take: bool = False) -> Iterator[Chunk]:
    """The entries now; `take` deletes them. Each key comes at most once."""
    found = _found(of, take)
    return _unseen(of, found) if of._repeats else found


def _found(of: KeyedMap[Any, Any], take: bool) -> Iterator[Chunk]:
    try:
        yield from _batches(of, "lookup_and_delete_batch" if take else "lookup_batch")
    except MapError as error:
        if error.errno not in NO_BATCH:
            raise
        yield from _walked(of, take)


def pairs(of: KeyedMap[Any, Any], found: Iterable[Chunk]) -> list[tuple[Any, Any]]:
    """The entries of all chunks, decoded."""
    keys, values = Column(of._key), Column(of._value)
    return _kept(zip(keys(chunk.keys), values(chunk.values)) for chunk in found)


def rows(of: KeyedMap[Any, Any], found: Iterable[Chunk]) -> list[tuple[tuple[Any, ...], tuple[Any, ...]]]:
    """The entries of all chunks as tuples of the items that lie in memory."""
    keys, values = Column(of._key).packer, Column(of._value).packer
    return _kept(zip(keys.iter_unpack(chunk.keys), values.iter_unpack(chunk.values)) for chunk in found)


def _kept(chunks: Iterable[Iterable[T]]) -> list[T]:
    """All of them in one list.

    No garbage is collected meanwhile: what is made is all kept, and to look for cycles in it again and again takes as
    long as to make it.
    """
    made: list[T] = []
    collecting = gc.isenabled()
    gc.disable()
    try:
        for chunk in chunks:
            made.extend(chunk)
    finally:
        if collecting:
            gc.enable()
    return made


def _batches(of: KeyedMap[Any, Any], verb: str) -> Iterator[Chunk]:
    room, before, more = min(FIRST, max(1, of.max_entries)), None, True
    sizes = of._key.size, of._value.size
    while more:
        # The kernel's place in the map: 4 bytes in a hash, a key elsewhere.
        after, count = ctypes.create_string_buffer(max(4, sizes[0])), ctypes.c_uint(room)
        keys, values = ((ctypes.c_char * (room * size))() for size in sizes)
        try:
            of._call(verb, before, after, keys, values, count, None)
        except KeyError:
            more = False
        except MapError as error:
            if error.errno != errno.ENOSPC or room > of.max_entries:  # a bucket holds more than there is room for
                raise
            room *= 2
            continue
        if count.value:
            filled = [memoryview(part)[: count.value * size] for part, size in zip((keys, values), sizes)]
            yield Chunk(filled[0], filled[1], count.value)
        before, room = after, max(room, min(2 * room, MOST))


def _unseen(of: KeyedMap[Any, Any], found: Iterable[Chunk]) -> Iterator[Chunk]:
    """The entries that have not come before; ends as _walk does where the kernel starts again and again."""
    seen: set[bytes] = set()
    sizes, left = (of._key.size, of._value.size), 4 * of.max_entries + 4
    for chunk in found:
        rows = ((bytes(chunk.keys[n * sizes[0] :][: sizes[0]]), chunk.values[n * sizes[1] :][: sizes[1]])
                for n in range(chunk.number))  # fmt: skip
        new = dict(row for row in rows if row[0] not in seen)
        seen.update(new)
        yield Chunk(b"".join(new), b"".join(new.values()), len(new))
        left -= chunk.number
        if left < 0:
            return


def _walked(of: KeyedMap[Any, Any], take: bool) -> Iterator[Chunk]:
    entries = _walk(of, take)
    while rows := list(islice(entries, FIRST)):
        yield Chunk(b"".join(key for key, _ in rows), b"".join(value for _, value in rows), len(rows))


def _walk(of: KeyedMap[Any, Any], take: bool) -> Iterator[tuple[bytes, bytes]]:
    """Key by key. A key deleted meanwhile sends the kernel back to the first one, hence `seen` and the limit."""
    seen: set[bytes] = set()
    following = of._after(None)
    for _ in range(4 * (of.max_entries or 1 << 20) + 4):
        if following is None:
            return
        packed, following = following, of._after(following)
        if packed in seen:
            continue
        seen.add(packed)
        try:
            value = of._taken(packed) if take else of._read(packed)
        except KeyError:
            continue
        yield packed, value


def write(of: KeyedMap[Any, Any], entries: Iterable[tuple[Any, Any]], flags: int) -> None:
    """Sets entries, in as few calls as there can be. Raises what `put` does, for the first entry that it refuses."""
    options, rows = sized(BatchOptions, elem_flags=flags), iter(entries)
    while some := list(islice(rows, MOST)):
        if flags & ~of._batch_flags or not of._batches:
            of._put_each(some, flags)
            continue
        keys = b"".join(pack_for(of, of._key, key) for key, _ in some)
        values = b"".join(pack_for(of, of._value, value) for _, value in some)
        try:
            of._call("update_batch", keys, values, ctypes.c_uint(len(some)), options)
        except (MapError, KeyError):
            of._put_each(some, flags)  # again, since that is the same as once: it says which one is refused, and why


def delete(of: KeyedMap[Any, Any], keys: Iterable[Any]) -> int:
    """How many of the keys were there; they are deleted, in as few calls as there can be."""
    rows, deleted = iter(keys), 0
    while some := [pack_for(of, of._key, key) for key in islice(rows, MOST)]:
        start = 0
        while start < len(some):
            count = ctypes.c_uint(len(some) - start)
            try:
                of._call("delete_batch", b"".join(some[start:]), count, None)
            except KeyError:
                deleted, start = deleted + count.value, start + count.value + 1  # the next one isn't there
            except MapError as error:
                if error.errno not in NO_BATCH:
                    raise
                return deleted + sum(of._discard(packed) for packed in chain(some[start:], map(of._key.pack, rows)))
            else:
                deleted, start = deleted + count.value, len(some)
    return deleted


def columns(of: KeyedMap[Any, Any], found: Iterable[Chunk]) -> tuple[Any, Any]:
    """The entries as two numpy arrays, of keys and of values. Raises LibraryError where there is no numpy."""
    from ..codec.numpy_records import Arrays

    kept = list(found)
    keys = Arrays(of._key, 0, of._key.size)
    one = of._value.element if of._per_cpu else None
    values = Arrays(one or of._value, 0, (one.size + 7) // 8 * 8 if one else of._value.size)
    rows = values.joined([values.run(memoryview(chunk.values))[0] for chunk in kept])
    if one:
        rows = rows.reshape(-1, of._value.size // values.stride, *rows.shape[1:])
    return keys.joined([keys.run(memoryview(chunk.keys))[0] for chunk in kept]), rows
