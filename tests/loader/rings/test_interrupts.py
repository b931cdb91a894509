"""Signals whose handlers raise, at any moment: no record is lost or given twice, and nothing is left half done."""

import asyncio
import gc
import operator
import os
import random
import signal
import sys
import threading

import bpfloader
import pytest
from interrupts import Interrupt
from ring_records import PACKET
from slow import slow_after


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


@pytest.mark.parametrize("way", slow_after(3, ["events", "consume", "batch", "tuples", "limited"]))
@pytest.mark.parametrize("name", ["ring", "perf"])
def test_no_record_is_lost_or_comes_twice(rings, storm, name, way):
    ring, found = getattr(rings.maps, name), []
    produce = rings.progs.produce if name == "ring" else rings.progs.produce_perf
    for _ in range(30):
        assert produce.test_run(PACKET, repeat=500).value == 0, "the last record found no room, or no buffer"
        storm(lambda: in_hand(ring, way, found))
    records = found if way in ("events", "consume") else [record for batch in found for record in batch]
    numbers = [record[0] if way == "tuples" else record.number for record in records]
    assert len(numbers) == len(set(numbers)) and sorted(numbers) == list(range(15_000))


@pytest.mark.parametrize("timeout", [0, 5])
@pytest.mark.parametrize("way", ["batch", "tuples", "numpy"])
@pytest.mark.parametrize("name", ["ring", "perf"])
def test_the_last_batch_is_given_after_an_interrupt(rings, monkeypatch, name, way, timeout):
    """The interrupt comes after the buffer is emptied and before the caller has its records."""
    ring = getattr(rings.maps, name)
    if way == "numpy":
        pytest.importorskip("numpy")
    read = {"batch": ring.batch, "tuples": ring.tuples, "numpy": lambda **how: ring.batch(numpy=True, **how)}[way]
    memory = ring._ensure_mapped()

    def interrupted(mark, release=memory.release):
        release(mark)
        if mark:
            monkeypatch.undo()
            raise Interrupt

    (rings.progs.produce if name == "ring" else rings.progs.produce_perf).test_run(PACKET, repeat=50)
    monkeypatch.setattr(memory, "release", interrupted)
    with pytest.raises(Interrupt):
        read(timeout=timeout)
    assert not ring.available and len(read(timeout=timeout)) == 50
    assert len(read(timeout=0)) == 0


def test_bccs_callbacks_get_all(rings, storm):
    found = {}
    rings["ring"].open_ring_buffer(operator.setitem, found)  # no callback in Python, which an interrupt would end

    def step():
        rings.ring_buffer_consume()
        return True

    for _ in range(30):
        rings.progs.produce.test_run(PACKET, repeat=500)
        storm(step)
    assert [int.from_bytes(data[:8], "little") for data in found] == list(range(15_000))


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


def test_interrupted_lives_of_objects_leave_nothing(skel, kernel, storm, monkeypatch):
    """Each handler's exception comes out, none in a callback of libbpf's; what was attached is detached."""
    swallowed, lives, descriptors = [], [0], len(os.listdir("/proc/self/fd"))
    monkeypatch.setattr(sys, "unraisablehook", swallowed.append)

    def life():
        with skel.Probe.open() as probe:
            probe.select(["on_enter", "emit"])
            probe.load()
            link, *_ = probe.attach()
            probe.progs.emit.test_run(PACKET)
            assert len(list(probe.maps.events.events(timeout=0))) == 1 and not probe.maps.events.poll(0)
            link.detach()
            probe.progs.on_enter.attach()
            lives[0] += 1
        return True

    for _ in range(15):
        storm(life, 0.2)
    gc.collect()
    assert lives[0] >= 15 and len(os.listdir("/proc/self/fd")) == descriptors
    assert [args for args in swallowed if "callback" in (args.err_msg or "")] == []
    assert signal.getsignal(signal.SIGALRM).__name__ == "handler"


def test_a_timers_signals_keep_nothing_from_being_loaded(skel, kernel):
    """libbpf makes five attempts, each of which the kernel gives up as a signal comes."""
    came = []
    before = signal.signal(signal.SIGALRM, lambda *_: came.append(1))
    signal.setitimer(signal.ITIMER_REAL, 1e-4, 1e-4)
    try:
        for _ in range(20):
            with skel.Probe.open() as probe:
                probe.load()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert len(came) > 20 and signal.SIGALRM not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_test_runs_that_a_signal_ends_raise(loaded):
    """The number of runs so far is unknown, so they aren't repeated."""
    emit, came = loaded.progs.emit, []
    before = signal.signal(signal.SIGALRM, lambda *_: came.append(1))
    signal.setitimer(signal.ITIMER_REAL, 0.01)
    try:
        with pytest.raises(bpfloader.CallError) as caught:
            emit.test_run(PACKET, repeat=2**31 - 1)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert came == [1] and str(caught.value) == (
        "a signal interrupted the runs of emit (EINTR: Interrupted system call); run it again, with fewer repeats"
    )


def test_handlers_wait_and_come_once(skel):
    """Whatever its order and nesting, each handler is put back and each signal that came is handled."""
    from bpfloader.signals import DeferredSignals

    came = []
    before = {
        number: signal.signal(number, lambda number, _: came.append(number))
        for number in (signal.SIGUSR1, signal.SIGTERM)
    }
    try:
        handlers = [signal.getsignal(number) for number in before]
        with DeferredSignals():
            with DeferredSignals():
                signal.raise_signal(signal.SIGUSR1)
            signal.raise_signal(signal.SIGTERM)
            assert came == []
        assert came == [signal.SIGUSR1, signal.SIGTERM] and handlers == [signal.getsignal(number) for number in before]
        with pytest.raises(KeyboardInterrupt), DeferredSignals():
            signal.raise_signal(signal.SIGINT)
            came.append("done")
        assert came[-1] == "done" and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_other_threads_leave_handlers_alone():
    from bpfloader.signals import DeferredSignals

    def look():
        with DeferredSignals():
            seen.append(signal.getsignal(signal.SIGINT))

    seen = []
    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert seen == [signal.default_int_handler]
