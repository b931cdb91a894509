"""Buffer, the base of ring and perf buffers: their memory, locks and waiting, and their end at any moment.

The lock guards the memory: it is held while records are decoded, never while a thread waits or a callback runs. It is
reentrant, since a signal handler may destroy the object meanwhile. `destroy` takes the object's lock, then this one.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from itertools import chain, islice
from operator import length_hint
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from ..codec.base import Codec
from ..codec.records import ChunkDecoder, RecordDecoder, RecordError
from ..errors import warn
from ..fork import call_after_fork
from ..map.base import Map, codec_of
from ..signals import DeferredSignals, take_one
from .memory import BATCH_SIZE, BUSY_PAUSE, EMPTY, READY, Batch, Iterated, SharedMemory, hand_out
from .waiting import DAY, Coalescer, Waiter

if TYPE_CHECKING:
    from ..owner import Owner

T = TypeVar("T")
R = TypeVar("R")
D = TypeVar("D", bound=RecordDecoder)
BatchKey = tuple[int, type[RecordDecoder]]  # the thread that reads, and what it asked for


class Buffer(Map, Generic[T]):
    """A buffer that programs fill and Python empties. Base of Reader, which has the public ways to read.

    While records come fast, a reader that waits lets them gather for up to `max_delay` seconds: by default 10 ms, or
    4 ms in a buffer that a burst could fill meanwhile; 0 lets none gather.
    """

    HEADER_SIZE: ClassVar[int]  # bytes before a record's data
    max_delay: float | None = None
    _longest_wait: ClassVar[float] = DAY  # seconds without a look

    def __init__(self, owner: Owner, name: str, record: type[T] | Codec[T]):
        super().__init__(owner, name)
        self._codec: Codec[T] = codec_of(record)
        self._lock = threading.RLock()
        self._memory: SharedMemory | None = None
        self._waiter: Waiter | None = None
        self._iterated = Iterated(iter(()), [], None)
        self._decoders: dict[type[RecordDecoder], RecordDecoder] = {}
        # The batch that each thread is about to return, by decoder: an interrupt leaves it here for the next call.
        self._undelivered: dict[BatchKey, Batch] = {}
        self._coalescer = Coalescer()
        self._backlog = False  # the last read stopped at its limit: there may be more records
        self._warned = False  # of records that are longer than their type
        call_after_fork(self)

    def _map_memory(self) -> SharedMemory:
        """Maps the buffer's memory."""
        raise NotImplementedError

    def _stride(self, length: int) -> int:
        """Returns the distance in bytes from a record of that length to the next one."""
        raise NotImplementedError

    def _ensure_mapped(self) -> SharedMemory:
        """Returns the memory, mapped on first use. Raises StateError before load and after destroy."""
        if (memory := self._memory) is not None:
            return memory
        with self._owner.lock, self._lock, DeferredSignals():  # the locks in the order in which destroy takes them
            if self._memory is None:
                self._memory = self._map_memory()
            return self._memory

    def _ensure_waiter(self) -> Waiter | None:
        """Returns the buffer's waiter, made on first use; None once the object is destroyed."""
        if (waiter := self._waiter) is not None:
            return waiter
        with self._lock:
            if self._memory and not self._waiter:
                with DeferredSignals():
                    self._waiter = Waiter(self._memory.fds)
            return self._waiter

    def _decoder(self, kind: type[D]) -> D:
        if kind not in self._decoders:
            self._decoders[kind] = kind(self._codec, self.HEADER_SIZE, self._stride(self._codec.size))
        decoder: D = self._decoders[kind]  # type: ignore[assignment]
        return decoder

    def _under_lock(self, read: Callable[..., R], closed: R, *arguments: Any) -> R:
        """Calls `read` with the memory under the lock; returns `closed` if the object is destroyed, even meanwhile."""
        with self._lock:
            if self._memory is None:
                return closed
            try:
                return read(self._memory, *arguments)
            except RecordError as error:
                raise RecordError(f"{self.name}: a record of {error.what}", error.step, error.fix) from None
            except ValueError:  # a signal handler of this thread has released the memory
                if self._memory is None:
                    return closed
                raise

    def _refill(self) -> bool:
        """Reads committed records for an iteration, and releases their space; returns True if there are any."""
        found = self._under_lock(self._read_iterated, False)
        self._warn_of_longer(self._decoder(ChunkDecoder))
        return found

    def _read_iterated(self, memory: SharedMemory) -> bool:
        if self._decode_rest(memory):
            return True
        self._release_batches(memory)
        decoder = self._decoder(ChunkDecoder)
        found, mark = memory.read_records(decoder, BATCH_SIZE)
        self._iterated = Iterated(iter(()), found, mark)
        self._release(memory, mark, decoder.count(found), BATCH_SIZE)
        return self._decode_rest(memory)

    def _decode_rest(self, _memory: SharedMemory) -> bool:
        """Decodes the next of the records that were read for an iteration, once those before are gone."""
        values, rest, mark = self._iterated
        if rest and not length_hint(values):
            first, rest = self._decoder(ChunkDecoder).decode_chunk(rest)
            self._iterated = Iterated(values := hand_out(first), rest, mark)
        return length_hint(values) > 0

    def _release(self, memory: SharedMemory, mark: Any, number: int, limit: int | None) -> None:
        """Releases the space of so many records that were read, and notes the pace."""
        memory.release(mark)
        pace = self._coalescer
        pace.records += number
        pace.position, pace.size = memory.progress()
        self._backlog = number == limit

    def _release_batches(self, memory: SharedMemory) -> None:
        """Releases the space of batches already read, in case an interrupt came before their release."""
        memory.release(self._iterated.mark)
        for batch in self._undelivered.values():
            memory.release(batch.mark)

    def _batch(self, kind: type[RecordDecoder], limit: int | None) -> Any:
        """Returns at most `limit` records, decoded by `kind`: those that an iteration has left, else the buffer's."""
        self._read_batch(kind, limit)
        return self._take_batch(kind)

    def _read_batch(self, kind: type[RecordDecoder], limit: int | None) -> bool:
        """Reads the batch that `_take_batch` then takes, unless an interrupted call has left one.

        Returns False if there is none. What it has read stays with the buffer, so that no interrupt loses it.
        """
        key, decoder = (threading.get_ident(), kind), self._decoder(kind)
        found = self._under_lock(self._read_undelivered, False, key, decoder, limit)
        self._warn_of_longer(decoder)
        return found

    def _warn_of_longer(self, decoder: RecordDecoder) -> None:
        """Warns once of records whose ends the type leaves out.

        What was read is in this buffer now, so that a warning that is an exception (`-W error`) loses none of it.
        """
        if decoder.longest and not self._warned:
            self._warned = True
            what = f"{self.name}: a record of {decoder.longest} bytes is longer than its type "
            what += f"{decoder.codec.name or decoder.codec.code}, which has {decoder.size}: the rest is left out"
            warn(f"{what}; declare the type that is submitted, or end it in a flexible array; raw() gives all bytes")

    def _take_batch(self, kind: type[RecordDecoder]) -> Any:
        for batch in take_one(self._undelivered.pop, (threading.get_ident(), kind), None):
            return batch.values if batch else self._decoder(kind).join([])

    def _read_undelivered(self, memory: SharedMemory, key: BatchKey, decoder: RecordDecoder, limit: int | None) -> bool:
        if self._undelivered or self._iterated.mark is not None:
            self._release_batches(memory)
        if key in self._undelivered:
            return True
        if self._iterated.left:
            self._batch_decoded(key, decoder, limit)
            return True
        found, mark = memory.read_records(decoder, limit)
        if found:
            self._undelivered[key] = Batch(decoder.join(found), mark)
        self._release(memory, mark, decoder.count(found), limit)
        return bool(found)

    def _batch_decoded(self, key: BatchKey, decoder: RecordDecoder, limit: int | None) -> None:
        """Makes the undelivered batch from records that an iteration has left."""
        values: list[Any] = []
        typed = type(decoder) is RecordDecoder
        if typed:
            self._undelivered[key] = Batch(values, None)  # registered before it is filled: an interrupt loses none
        for value in islice(self._drain(), limit):
            values += [value] if typed else decoder.decode_one(memoryview(self._codec.pack(value)))
        self._undelivered[key] = Batch(decoder.join(values), None)

    def _drain(self) -> Iterator[T]:
        """Removes and yields the records read for an iteration. An interrupt loses none (see signals.take_one)."""
        return chain.from_iterable(self._chunks())

    def _chunks(self) -> Iterator[Iterator[T]]:
        """Yields the records read for an iteration, decoded a chunk at a time."""
        while self._under_lock(self._decode_rest, False):
            yield self._iterated.values

    def _end(self) -> int:
        """Returns the position behind what is in the buffer now."""
        return self._under_lock(lambda memory: memory.progress()[0] + memory.available(), 0)

    def _has_before(self, end: int) -> bool:
        """Returns True if records from before that position may be left: a reader that stops there gets to an end."""
        return self._iterated.left or self._under_lock(lambda memory: memory.progress()[0], end) < end

    def _state(self) -> int:
        return READY if self._iterated.left else self._under_lock(lambda memory: memory.state(), EMPTY)

    def _pause(self) -> float:
        """Returns the seconds to sleep before the next look, so that records gather (see waiting.Coalescer)."""
        if self._backlog or self._iterated.left or self._memory is None:
            return 0.0
        return self._coalescer.pause(time.monotonic(), self.max_delay)

    def _gather(self, timeout: float | None) -> float | None:
        """Sleeps while records gather, at most `timeout` seconds; returns how much of the time-out is left."""
        if (timeout is not None and timeout <= 0) or not (pause := self._pause()):
            return timeout
        time.sleep(pause if timeout is None else (pause := min(pause, timeout)))
        return None if timeout is None else timeout - pause

    def _poll(self, timeout: float | None) -> bool:
        """Waits up to `timeout` seconds for a record, without end for None; returns False if there is none."""
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            state, waiter, now = self._state(), self._ensure_waiter(), time.monotonic()
            left = None if end is None else end - now
            if state == READY:
                self._coalescer.looked = now
            if state == READY or waiter is None or (left is not None and left <= 0):
                return state == READY
            if state == EMPTY:
                waiter.wait(self._longest_wait if left is None else min(left, self._longest_wait))
            else:  # a busy record makes epoll return at once
                time.sleep(BUSY_PAUSE)

    @property
    def lost(self) -> int | None:
        """The number of records that found no room; None if nobody counts them."""
        return None

    def _after_fork(self) -> None:
        """Replaces the lock, which a thread missing in the child may hold, and drops the parent's epoll."""
        self._lock = threading.RLock()
        if self._waiter:
            self._waiter.abandon()
            self._waiter = None
        if self._memory:
            self._memory.after_fork()

    def _close(self) -> None:
        """Ends iterations that are under way, drops undelivered records and unmaps the memory."""
        with self._lock:
            memory, self._memory = self._memory, None
            waiter, self._waiter = self._waiter, None
            self._backlog = False
            deque(self._iterated.values, 0)  # the loops under way get no more
            self._iterated = Iterated(iter(()), [], None)
            self._undelivered.clear()
            if memory:
                memory.close()
            if waiter:
                waiter.close()
