"""Ring buffers: records of this kernel's both ways, and the parser alone on made-up memory."""

import asyncio
import struct
import threading
import time
from itertools import chain, count, islice

import bpfloader
import pytest
from bpfloader.codec.records import CHUNK_SIZE, ChunkDecoder, RecordDecoder
from bpfloader.rings.ringbuf import BUSY_BIT, DISCARD_BIT, RECORD_HEADER_SIZE, Records, record_stride
from hypothesis import given, settings
from hypothesis import strategies as st
from probing import beside
from ring_records import PACKET, Pair, c

BPF_RB_NO_WAKEUP = 1  # linux/bpf.h


def test_typed_records_arrive_whole_and_in_order(loaded, skel):
    loaded.progs.emit.test_run(PACKET, repeat=3)
    events = list(loaded.maps.events.events(timeout=0))
    blue = skel.Color.COLOR_BLUE
    assert events == [skel.Event(100 + n, 5, blue, "probe", b"\1\2\3\4\5\6\7\0") for n in range(3)]
    assert events[0].color.name == "COLOR_BLUE"


@pytest.mark.parametrize("way", ["iteration", "callback"])
def test_a_hundred_thousand_records(loaded, way):
    numbers: list[int] = []
    for _ in range(20):
        assert loaded.progs.emit.test_run(PACKET, repeat=5000).value == 7
        if way == "callback":
            assert loaded.maps.events.consume(lambda event: numbers.append(event.number)) == 5000
        else:
            numbers += [event.number for event in loaded.maps.events.events(timeout=0)]
    assert numbers == list(range(100, 100_100))


def test_discarded_records_are_left_out(loaded):
    loaded.bss.discard_every = 3
    loaded.progs.emit.test_run(PACKET, repeat=300)
    numbers = [event.number for event in loaded.maps.events.events(timeout=0)]
    assert numbers == [number for number in range(100, 400) if number % 3]


def test_a_full_ring_goes_on_after_it_was_read(loaded):
    size = loaded.maps.events.max_entries // (32 + RECORD_HEADER_SIZE)
    loaded.progs.emit.test_run(PACKET, repeat=2 * size)
    first = loaded.maps.events.consume(lambda event: None)
    assert size - 2 <= first <= size
    loaded.progs.emit.test_run(PACKET, repeat=size)
    assert loaded.maps.events.consume(lambda event: None) == first


def test_breaking_off_loses_nothing(loaded):
    loaded.progs.emit.test_run(PACKET, repeat=10)
    for event in loaded.maps.events.events(timeout=0):
        if event.number == 103:
            break
    assert [event.number for event in loaded.maps.events.events(timeout=0)] == list(range(104, 110))


def test_every_way_goes_on_where_an_iteration_broke_off(loaded):
    """An iteration has read far more than it has decoded."""
    events = loaded.maps.events
    loaded.progs.emit.test_run(PACKET, repeat=1500)
    iterator = events.events(timeout=0)
    numbers = [next(iterator).number for _ in range(70)]
    numbers += [event.number for event in events.batch(limit=200)] + [row[0] for row in events.tuples(limit=200)]
    assert events.poll(0)
    numbers += [next(iterator).number for _ in range(70)]
    events.consume(lambda event: numbers.append(event.number), limit=100)
    numbers += [int.from_bytes(data[:8], "little") for data in events.raw(limit=70)]
    numbers += [event.number for event in iterator]
    assert numbers == list(range(100, 1600))


def test_waiting_ends_by_a_record_or_the_timeout(loaded):
    events, started = loaded.maps.events, time.monotonic()
    assert list(events.events(timeout=0.2)) == [] and not events.poll(0)
    assert 0.15 < time.monotonic() - started < 5
    with beside(lambda: loaded.progs.emit.test_run(PACKET), after=0.2):
        assert next(events.events(timeout=30)).number == 100
    assert time.monotonic() - started < 20
    loaded.progs.emit.test_run(PACKET)
    assert events.poll(1e300)


def test_an_iteration_ends_when_its_object_is_destroyed_though_more_records_are_there(loaded):
    loaded.progs.emit.test_run(PACKET, repeat=5000)
    events = loaded.maps.events.events()
    assert next(events).number == 100
    loaded.destroy()
    assert list(events) == []


def test_records_without_a_type_are_bytes(loaded):
    loaded.progs.emit_untyped.test_run(PACKET)
    assert list(loaded.maps.untyped.events(timeout=0)) == [b"abc", b"\xff" * 16]


def test_a_record_too_short_for_its_type_is_named_and_passed_over(loaded):
    loaded.progs.emit.test_run(PACKET)
    loaded.progs.emit_short.test_run(PACKET)
    loaded.progs.emit.test_run(PACKET)
    events = loaded.maps.events.events(timeout=0)
    assert next(events).number == 100
    with pytest.raises(bpfloader.RecordError, match="4 bytes can't hold Event, which has 32"):
        next(events)
    assert [event.number for event in loaded.maps.events.events(timeout=0)] == [101]


def test_a_ring_lives_as_long_as_its_object(opened):
    events = opened.maps.events
    with pytest.raises(bpfloader.StateError, match="before load"):
        next(events.events())
    opened.load()
    opened.progs.emit.test_run(PACKET, repeat=2)
    iterator = events.events(timeout=0)
    next(iterator)
    opened.destroy()
    assert list(iterator) == []
    with pytest.raises(bpfloader.StateError, match="destroyed"):
        next(events.events())


def ring(records, size: int, start: int) -> tuple[memoryview, int]:
    """Returns a ring's data, mapped twice, with (header word, data) records from a position on; and their size."""
    data, position = bytearray(size), start
    for head, payload in records:
        block = (struct.pack("=II", head, 0) + payload).ljust((len(payload) + RECORD_HEADER_SIZE + 7) // 8 * 8, b"\xaa")
        for number, byte in enumerate(block):
            data[(position + number) % size] = byte
        position += len(block)
    return memoryview(bytes(data) * 2), position - start


def reader_of(memory, codec=Pair.codec, kind=RecordDecoder):
    """A function that takes from a position on: (values, bytes used)."""
    decoder, records = kind(codec, RECORD_HEADER_SIZE, record_stride(codec.size)), Records(memory, lambda: None)

    def take(position, available, limit=None):
        values, used = records.committed(decoder, position, available, limit)
        return decoder.join(values), used

    return take


class Committing(list):
    """Header words of which one was still busy when they were compared, and no longer is when each is looked at."""

    def __eq__(self, other):
        return False

    def __getitem__(self, index):
        return Committing(super().__getitem__(index)) if isinstance(index, slice) else super().__getitem__(index)


def test_records_that_are_committed_between_two_looks_are_read():
    memory, available = ring([(12, Pair(number, 7).to_bytes()) for number in range(3)], 4096, 0)
    records = Records(memory, lambda: None)
    records.words = Committing(records.words)
    values, used = records.committed(RecordDecoder(Pair.codec, RECORD_HEADER_SIZE, record_stride(12)), 0, available)
    assert (values, used) == ([Pair(0, 7), Pair(1, 7), Pair(2, 7)], available)


kinds = st.sampled_from(["record", "discarded", "long", "run"])


@given(st.lists(kinds, max_size=20), st.integers(0, 511).map(lambda n: 8 * n), st.integers(1, 50))
def test_written_records_are_read(script, start, limit):
    written, expected = [], []
    for number, kind in enumerate(script):
        pair = Pair(number, 7)
        data = pair.to_bytes() + (b"more" * 5 if kind == "long" else b"")
        written += [(len(data) | (DISCARD_BIT if kind == "discarded" else 0), data)] * (4 if kind == "run" else 1)
        expected += [pair] * (0 if kind == "discarded" else 4 if kind == "run" else 1)
    memory, available = ring(written, 4096, start)
    take, found, used = reader_of(memory), [], 0
    while used < available:
        values, taken = take(start + used, available - used, limit)
        assert taken and len(values) <= limit
        found, used = found + values, used + taken
    assert found == expected


@given(st.lists(st.tuples(kinds, st.integers(1, 3 * CHUNK_SIZE)), max_size=6))
def test_chunks_are_the_records_in_order(script):
    written, expected = [], []
    for kind, times in script:
        pair = Pair(times, 7)
        data = pair.to_bytes() + (b"more" * 5 if kind == "long" else b"")
        number = times if kind in ("record", "run") else 2
        written += [(len(data) | (DISCARD_BIT if kind == "discarded" else 0), data)] * number
        expected += [pair] * (0 if kind == "discarded" else number)
    memory, available = ring(written, 1 << 16, 4000)
    decoder = ChunkDecoder(Pair.codec, RECORD_HEADER_SIZE, record_stride(12))
    rest, used = Records(memory, lambda: None).committed(decoder, 4000, available)
    assert used == available and decoder.count(rest) == len(expected)
    memory.release()  # nothing of the ring is left in what was read
    found = []
    while rest:
        values, rest = decoder.decode_chunk(rest)
        assert values
        found += values
    assert found == expected


@given(st.integers(0, 100), st.integers(0, 100))
def test_reading_stops_at_a_record_that_is_being_written(before, after):
    pairs = [Pair(number) for number in range(before + 1 + after)]
    written = [(12 | (BUSY_BIT if number == before else 0), pair.to_bytes()) for number, pair in enumerate(pairs)]
    memory, available = ring(written, 8192, 4000)
    assert reader_of(memory)(4000, available) == (pairs[:before], before * 24)


@settings(max_examples=300)
@given(
    st.binary(min_size=512, max_size=512),
    st.integers(0, 63),
    st.integers(0, 64),
    st.sampled_from([Pair.codec, c.tail(), c.u8]),
)
def test_any_memory_gives_records_or_an_error(data, start, available, codec):
    take = reader_of(memoryview(data * 2), codec)
    try:
        values, used = take(8 * start, 8 * available)
    except (bpfloader.MapError, bpfloader.LayoutError):
        return
    assert 0 <= used <= 8 * available and len(values) <= available


@settings(max_examples=300)
@given(st.lists(st.tuples(st.sampled_from([0, 1, 12, 13, 200, BUSY_BIT | 12, DISCARD_BIT, DISCARD_BIT | 12, 12 | 1 << 29]),
                          st.binary(max_size=24)), max_size=30), st.integers(0, 64))  # fmt: skip
def test_any_headers_give_records_or_an_error(records, available):
    memory, _ = ring(records, 1024, 0)
    try:
        values, used = reader_of(memory)(0, 8 * available)
    except (bpfloader.MapError, bpfloader.RecordError):
        return
    assert used <= 8 * available and len(values) <= available


@pytest.mark.parametrize("name", ["ring", "perf"])
def test_only_what_is_asked_to_wait_waits(rings, name):
    """As the table in docs/loader.md has it: on an empty buffer, each of these comes back at once, or at its time-out."""
    ring, started = getattr(rings.maps, name), time.monotonic()
    assert ring.batch() == ring.tuples() == ring.raw() == [] and ring.consume(print) == 0
    assert ring.batch(limit=3) == ring.tuples(limit=3) == []
    assert not ring.poll(0) and list(ring.events(timeout=0)) == [] and time.monotonic() - started < 1
    for wait in (ring.batch, ring.tuples, ring.poll, lambda timeout: list(ring.events(timeout))):
        started = time.monotonic()
        assert not wait(0.05) and 0.05 <= time.monotonic() - started < 5
    for wait in (lambda: ring.batch(None), lambda: ring.tuples(None), ring.poll, lambda: next(iter(ring))):
        found = []
        waiting = threading.Thread(target=lambda: found.append(wait()))
        waiting.start()
        waiting.join(0.05)
        assert waiting.is_alive() and found == []
        (rings.progs.produce if name == "ring" else rings.progs.produce_perf).test_run(PACKET)
        waiting.join(10)
        assert found and found[0]
        ring.batch()


async def first_two(ring) -> list:
    found = []
    async for record in ring:
        found.append(record)
        if len(found) == 2:
            break
    return found


WITHOUT_END = {
    "iteration": lambda ring: list(islice(ring, 2)),
    "events([…])": lambda ring: [record for _, record in islice(bpfloader.events([ring]), 2)],
    "batch(None)": lambda ring: list(islice(chain.from_iterable(ring.batch(None) for _ in count()), 2)),
    "poll(None)": lambda ring: list(islice(chain.from_iterable(ring.batch() for _ in count() if ring.poll()), 2)),
    "async for": lambda ring: asyncio.run(first_two(ring)),
}


@pytest.mark.parametrize("name", WITHOUT_END)
def test_records_that_wake_nobody_are_read(rings, name):
    """BPF_RB_NO_WAKEUP; and the kernel wakes nobody for the next record either while that one is unread."""
    found = []
    reader = threading.Thread(target=lambda: found.extend(WITHOUT_END[name](rings.maps.ring)), daemon=True)
    reader.start()
    for flags in (BPF_RB_NO_WAKEUP, 0):
        time.sleep(0.02)
        rings.bss.submit_flags = flags
        rings.progs.produce.test_run(PACKET)
    reader.join(10)
    assert [record.number for record in found] == [0, 1]
