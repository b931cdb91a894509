"""Reads a ring or perf buffer with asyncio. Only the first `async for` imports this, since asyncio loads slowly."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, TypeVar

from .memory import BUSY_HEAD, BUSY_PAUSE, EMPTY

if TYPE_CHECKING:
    from .buffer import Buffer
    from .waiting import Waiter

T = TypeVar("T")


class Stream(AsyncIterator[T]):
    """An asynchronous iterator over a buffer's records as they come. Ends when the object is destroyed.

    A task that is cancelled while it waits loses no record, and `anext` may be called again: nothing is awaited between
    a record's removal and its return. Other tasks get a turn after each batch, however fast records come.
    """

    def __init__(self, buffer: Buffer[T]):
        self._buffer, self._rested = buffer, False

    async def __anext__(self) -> T:
        buffer = self._buffer
        while True:
            values: Iterator[T] = buffer._iterated.values
            for value in values:
                return value
            if not buffer._under_lock(buffer._decode_rest, False):
                await self._more()

    async def _more(self) -> None:
        """Waits until there may be a record. Raises StopAsyncIteration once the object is destroyed."""
        buffer = self._buffer
        pause = buffer._pause()
        if pause or not self._rested:
            await asyncio.sleep(pause)
        self._rested = False
        if buffer._refill():
            return
        state, waiter = buffer._state(), buffer._ensure_waiter()
        if waiter is None:
            raise StopAsyncIteration
        if state == BUSY_HEAD:
            await asyncio.sleep(BUSY_PAUSE)
        elif state == EMPTY:
            await readable(waiter, buffer._longest_wait)
        self._rested = True


async def readable(waiter: Waiter, timeout: float) -> None:
    """Waits until there may be something to read, `close`, or `timeout` seconds have passed.

    Many tasks may wait, in several event loops.
    """
    loop = asyncio.get_running_loop()
    if not waiter.enter():
        return
    try:
        future = loop.create_future()
        waiting = waiter.futures.setdefault(loop, set())
        if not waiting:  # a descriptor has one callback in a loop
            loop.add_reader(waiter.fileno(), _wake, waiting)
        waiting.add(future)
        late = loop.call_later(timeout, _wake, {future})
        try:
            await future
        finally:
            late.cancel()
            waiting.discard(future)
            if not waiting:
                waiter.futures.pop(loop, None)
                if not loop.is_closed():
                    loop.remove_reader(waiter.fileno())
    finally:
        waiter.leave()


def _wake(waiting: set[asyncio.Future[None]]) -> None:
    for future in waiting:
        if not future.done():
            future.set_result(None)
