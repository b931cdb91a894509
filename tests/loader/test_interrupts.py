"""Signals whose handlers raise, at any moment: no record is lost or given twice, and nothing is left half done."""

import asyncio
import gc
import random
import signal
import threading

import pytest
from test_ringbuf import PACKET


class Interrupt(Exception):
    """What the handler raises, as that of SIGINT raises KeyboardInterrupt."""


@pytest.fixture
def storm(monkeypatch):
    """A function that calls another one again and again until it returns True, while signals interrupt it."""
    if threading.current_thread() is not threading.main_thread():
        pytest.skip("signals are handled in the main thread")

    armed, waits, interrupts = [False], random.Random(4), [0]

    def handler(number, frame):
        if armed[0]:
            armed[0] = False
            raise Interrupt

    def under_fire(step):
        ended = False
        while not ended:
            try:
                armed[0] = True
                signal.setitimer(signal.ITIMER_REAL, waits.choice((1e-4, 3e-4, 1e-3, 5e-3)) * waits.random() + 2e-5)
                ended = step()
                armed[0] = False
            except Interrupt:
                interrupts[0] += 1
        signal.setitimer(signal.ITIMER_REAL, 0)

    gc.collect()  # or an interrupt comes in a weak reference's callback, where Python swallows it
    before = signal.signal(signal.SIGALRM, handler)
    yield under_fire
    signal.signal(signal.SIGALRM, before)
    assert interrupts[0] > 5, "the test has tested nothing"


def in_hand(ring, way, found) -> bool:
    """Reads into `found`, which an interrupt leaves with all that was read; whether nothing is left."""
    if way == "events":
        for record in ring.events(timeout=0):
            found.append(record)
    elif way == "consume":
        ring.consume(found.append)
    else:
        read = {"batch": ring.batch, "tuples": ring.tuples, "limited": lambda **_: ring.batch(timeout=0, limit=100)}[
            way
        ]
        found.append(read(timeout=0))
        return not found[-1]
    return True


@pytest.mark.parametrize("way", ["events", "consume", "batch", "tuples", "limited"])
@pytest.mark.parametrize("name", ["ring", "perf"])
def test_no_record_is_lost_or_comes_twice(rings, storm, name, way):
    ring, found = getattr(rings.maps, name), []
    produce = rings.progs.produce if name == "ring" else rings.progs.produce_perf
    for _ in range(100):
        produce.test_run(PACKET, repeat=500)
        storm(lambda: in_hand(ring, way, found))
    records = found if way in ("events", "consume") else [record for batch in found for record in batch]
    numbers = [record[0] if way == "tuples" else record.number for record in records]
    assert len(numbers) == len(set(numbers)) and sorted(numbers) == list(range(50_000))


def test_ways_that_alternate_lose_nothing_either(rings, storm):
    ring, found = rings.maps.ring, []

    def step():
        for record in ring.events(timeout=0):
            found.append(record)
            if len(found) % 700 == 0:
                break
        found.extend(ring.batch(timeout=0, limit=50))
        return not ring.available and not ring.poll(0)

    for _ in range(20):
        rings.progs.produce.test_run(PACKET, repeat=3000)
        storm(step)
    assert sorted(record.number for record in found) == list(range(60_000))


def test_cancelled_tasks_lose_nothing(rings):
    ring, numbers, waits = rings.maps.ring, [], random.Random(5)

    async def read():
        async for record in ring:
            numbers.append(record.number)

    async def run():
        for _ in range(150):
            task = asyncio.create_task(read())
            rings.progs.produce.test_run(PACKET, repeat=100)
            for _ in range(waits.randrange(8)):
                await asyncio.sleep(0)
            if waits.random() < 0.3:
                await asyncio.sleep(0.001)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(run())
    numbers += [record.number for record in ring.events(timeout=0)]
    assert numbers == list(range(15_000))
