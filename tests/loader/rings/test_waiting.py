"""When a reader sleeps rather than waits: by the clock that it is given, and with a buffer and a clock made up."""

import threading
from bisect import bisect_right
from types import SimpleNamespace

import bpfloader
import pytest
from bpfloader.rings import buffer as buffers
from bpfloader.rings import poll as polls
from bpfloader.rings.memory import EMPTY, READY, Batch, SharedMemory
from bpfloader.rings.poll import events as events_of_several
from bpfloader.rings.reader import Reader
from bpfloader.rings.waiting import BUSY_INTERVAL, FASTEST, MAX_DELAY, MAX_DELAY_IF_SMALL, Coalescer
from hypothesis import given
from hypothesis import strategies as st
from ring_records import c

LOOK, STRIDE = 20e-6, 48  # seconds that a look takes, bytes that a record takes
ITERATIONS = {
    "events()": lambda buffer: buffer.events(timeout=1),
    "batch(timeout)": lambda buffer: (value for batch in iter(lambda: buffer.batch(timeout=1), []) for value in batch),
    "events([…])": lambda buffer: (value for _, value in events_of_several([buffer], timeout=1)),
}


class Arrivals(SharedMemory):
    """A buffer's memory whose records arrive at given times of a clock of its own; a record's value is its time."""

    def __init__(self, times, size):
        self.times, self.read, self.now, self.looks, self.fds, self.size = times, 0, 0.0, 0, [], size

    def sleep(self, seconds):
        self.now += max(0.0, seconds)

    def wait(self, timeout):
        """Sleeps until the next record, as an epoll does."""
        end = self.now + timeout
        self.now = min(end, max(self.now, self.times[self.read])) if self.read < len(self.times) else end

    def state(self):
        self.now += LOOK / 2
        return READY if self.read < len(self.times) and self.times[self.read] <= self.now else EMPTY

    def progress(self):
        return self.read * STRIDE, self.size

    def read_records(self, decoder, limit):
        self.now, self.looks = self.now + LOOK / 2, self.looks + 1
        came = self.times[self.read : min(bisect_right(self.times, self.now), self.read + (limit or len(self.times)))]
        self.read += len(came)
        return Batch(came, self.read)

    def release(self, mark):
        pass

    close = sleep


class MadeUp(Reader):
    """A buffer whose memory is given to it."""

    HEADER_SIZE = 8

    def _stride(self, length):
        return STRIDE


@pytest.fixture
def follow(monkeypatch):
    """Gives a function that reads records which come at given times, and returns their delays and the looks."""

    def follow(way, times, work=0.0, size=1 << 20, **attributes):
        memory = Arrivals(times, size)
        for module in (buffers, polls):
            monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: memory.now, sleep=memory.sleep))
        monkeypatch.setattr(polls, "_wait", lambda waiters, timeout: memory.wait(timeout))
        buffer = MadeUp(SimpleNamespace(lock=threading.RLock(), parts=[], find_map=str), "made up", c.u64)
        vars(buffer).update(attributes)
        buffer._memory, buffer._waiter = memory, SimpleNamespace(wait=memory.wait)
        delays = []
        for time in ITERATIONS[way](buffer):
            delays.append(memory.now - time)
            memory.now += work
        return delays, memory.looks

    return follow


@pytest.mark.parametrize("way", ITERATIONS)
@pytest.mark.parametrize("rate, burst", [(100_000, 1), (50_000, 7), (100_000, 100), (5_000, 1)])
def test_fast_records_gather_however_they_come_and_none_waits_long(follow, way, rate, burst):
    times = [1 + number // burst * burst / rate for number in range(rate // 5)]
    delays, looks = follow(way, times)
    assert len(delays) == len(times) and max(delays) <= MAX_DELAY + 3 * LOOK
    assert looks <= 2 * min(len(times) / burst, 0.2 / MAX_DELAY) + 2


@pytest.mark.parametrize("way", ITERATIONS)
@pytest.mark.parametrize("size", [1 << 17, 1 << 18, 1 << 19, 1 << 22])
def test_what_a_burst_could_fill_is_looked_at_sooner(follow, way, size):
    times = [1 + number / 50_000 for number in range(5_000)]
    delays, looks = follow(way, times, size=size)
    longest = min(MAX_DELAY, max(MAX_DELAY_IF_SMALL, size / FASTEST))
    assert len(delays) == len(times) and max(delays) <= longest + 3 * LOOK
    assert looks <= 0.2 / longest + 2


@pytest.mark.parametrize("way", ITERATIONS)
@pytest.mark.parametrize("most", [0, 0.0005, 0.02])
def test_a_program_says_how_long_its_records_may_gather(follow, way, most):
    times = [1 + number / 50_000 for number in range(5_000)]
    delays, looks = follow(way, times, max_delay=most)
    assert len(delays) == len(times) and max(delays) <= most + 3 * LOOK
    assert looks >= 2_000 if most == 0 else 0.05 / most <= looks <= 0.2 / most + 2


@pytest.mark.parametrize("way", ITERATIONS)
def test_slow_records_are_there_at_once(follow, way):
    delays, _ = follow(way, [1 + number * 2 * BUSY_INTERVAL for number in range(1000)])
    assert len(delays) == 1000 and max(delays) <= 3 * LOOK


@pytest.mark.parametrize("way", ITERATIONS)
def test_a_caller_who_is_nearly_too_slow_isnt_held_up_as_well(follow, way):
    """The work on what has gathered counts as a pause; else more gathers each time, and the delay grows to 100 ms."""
    times = [1 + number * 20e-6 for number in range(10_000)]
    delays, _ = follow(way, times, work=19.5e-6)
    assert max(delays) <= 2 * MAX_DELAY


def test_records_that_come_slowly_are_waited_for():
    coalescer = Coalescer()
    assert [paused(coalescer, 10 + number / 1000, number) for number in range(50)] == [0.0] * 50


@given(st.floats(1e-6, 1e-4), st.integers(1, 1000), st.sampled_from([4096, 1 << 16, 1 << 20]))
def test_no_more_than_a_part_of_the_buffer_gathers(took, came, size):
    coalescer = Coalescer()
    paused(coalescer, 10.0, 1, size)
    coalescer.looked = 10.0 + took
    pause = paused(coalescer, 10.0 + took, 1 + came, size)
    assert 0 < pause <= MAX_DELAY * 1.001 and pause / took * came * STRIDE <= 0.26 * size


def paused(coalescer, now, records, size=1 << 20):
    """Returns the pause of a coalescer after so many records."""
    coalescer.records, coalescer.position, coalescer.size = records, records * STRIDE, size
    return coalescer.pause(now)


def test_what_is_no_time_out_or_no_list_waits_for_nothing(rings):
    for wait in (rings.maps.ring.poll, rings.maps.ring.batch, lambda timeout: next(rings.maps.ring.events(timeout))):
        with pytest.raises(ValueError, match="NaN is no time-out; give seconds, or None to wait without end"):
            wait(float("nan"))
    for wait in (bpfloader.poll, lambda ring: next(bpfloader.events(ring))):
        with pytest.raises(TypeError, match=r"<RingBuffer ring> is no list of buffers; write \[ring\], or its own events"):
            wait(rings.maps.ring)
        with pytest.raises(TypeError, match="<PerCpuArray small_lost> is no ring or perf buffer; give those alone"):
            wait([rings.maps.small_lost])
