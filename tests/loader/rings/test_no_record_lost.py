"""Ring buffers with a producer whose records can be checked: none lost, none torn, none twice, and loss counted."""

import os
import time
from functools import partial

import bpfloader
import pytest
from probing import beside
from ring_records import PACKET, check


def drained(ring, way) -> list[int]:
    """Returns the numbers of all records that are there, read in one of the ways."""
    if way == "events":
        found = list(ring.events(timeout=0))
        check(found)
        return [record.number for record in found]
    if way == "consume":
        numbers: list[int] = []
        ring.consume(lambda record: numbers.append(record.number))
        return numbers
    if way == "batch":
        found = ring.batch(timeout=0)
        check(found)
        return [record.number for record in found]
    if way == "tuples":
        return [row[0] for row in ring.tuples(timeout=0)]
    if way == "raw":
        return [int.from_bytes(data[:8], "little") for data in ring.raw()]
    pytest.importorskip("numpy")
    array = ring.batch(timeout=0, numpy=True)
    base = (array["number"] * 2654435761 & 0xFFFFFFFF).astype("u4")
    assert all((array["words"][:, word] == base + word).all() for word in range(6))
    return array["number"].tolist()


WAYS = ["events", "consume", "batch", "tuples", "raw", "numpy"]


@pytest.mark.parametrize("way", WAYS)
def test_paced_records_come_whole_once_and_in_order(rings, way):
    numbers = []
    for _ in range(40):
        rings.progs.produce.test_run(PACKET, repeat=5000)
        numbers += drained(rings.maps.ring, way)
    assert numbers == list(range(200_000)) and rings.maps.ring.lost == 0


@pytest.mark.parametrize("way", WAYS)
def test_a_producer_at_the_same_time(rings, way):
    """Records are committed, wrap and are lost while they are read; each one that was not lost comes once."""
    ring, numbers = rings.maps.ring, []
    with beside(lambda: [rings.progs.produce.test_run(PACKET, repeat=20_000) for _ in range(20)]) as running:
        while running():
            numbers += drained(ring, way)
    numbers += drained(ring, way)
    assert numbers == sorted(set(numbers))
    assert len(numbers) + ring.lost == rings.bss.next_number == 400_000


def test_lost_records_are_counted_exactly(rings):
    ring, small = rings.maps.ring, rings.maps.small
    rings.progs.produce.test_run(PACKET, repeat=20_000)
    assert len(ring.batch(timeout=0)) + ring.lost == 20_000 and ring.lost > 10_000
    rings.bss.next_number = 0
    rings.progs.produce_small.test_run(PACKET, repeat=1000)  # counted per CPU, in the map small_lost
    assert small.batch(timeout=0) == list(range(1000 - small.lost)) and small.lost > 500


def test_the_counter_of_loss_may_have_any_name(rings):
    assert rings.maps.mixed.lost is None
    rings.maps.mixed.counter = "next_length"
    assert rings.maps.mixed.lost == 1


def test_how_full_the_ring_is(rings):
    ring = rings.maps.ring
    assert (ring.size, ring.available) == (1 << 18, 0)
    rings.progs.produce.test_run(PACKET, repeat=100)
    assert ring.available == 100 * 40
    ring.batch(timeout=0, limit=40)
    assert ring.available == 60 * 40


def test_sizes_that_differ_and_discards_at_every_offset(rings):
    length, found, passes = 1, 0, 300
    for number in range(passes):
        rings.progs.produce_mixed.test_run(PACKET, repeat=97 + number % 7)
        for data in rings.maps.mixed.batch(timeout=0) if number % 2 else rings.maps.mixed.events(timeout=0):
            length = length % 100 + 1
            assert data == bytes([length]) * length
            found += 1
    assert found == sum(97 + number % 7 for number in range(passes))


def test_ways_to_read_may_be_mixed(rings):
    ring = rings.maps.ring
    rings.progs.produce.test_run(PACKET, repeat=3000)
    numbers = [next(ring.events(timeout=0)).number for _ in range(3)]  # the other 1021 of its batch wait in Python
    numbers += [row[0] for row in ring.tuples(timeout=0, limit=10)]
    numbers += [record.number for record in ring.batch(timeout=0, limit=10)]
    numbers += [int.from_bytes(data[:8], "little") for data in ring.raw(limit=10)]
    ring.consume(lambda record: numbers.append(record.number), limit=10)
    while rows := ring.tuples(timeout=0):
        numbers += [row[0] for row in rows]
    assert numbers == list(range(3000))


def test_a_batch_waits_for_the_first_record(rings):
    ring, started = rings.maps.ring, time.monotonic()
    assert ring.batch(timeout=0.1) == [] and ring.tuples(timeout=0) == [] and time.monotonic() - started < 5
    with beside(lambda: rings.progs.produce.test_run(PACKET), after=0.2):
        assert [record.number for record in ring.batch(timeout=30)] == [0]


def test_several_threads_share_the_records(rings):
    numbers: list[list[int]] = [[], [], []]

    def read(into):
        for record in rings.maps.ring.events(timeout=0.5):
            into.append(record.number)

    with beside(*(partial(read, into) for into in numbers)):
        for _ in range(20):
            rings.progs.produce.test_run(PACKET, repeat=1000)
            while rings.maps.ring.available:
                time.sleep(0.001)
    assert sorted(number for own in numbers for number in own) == list(range(20_000))
    assert all(own == sorted(own) for own in numbers)


def test_several_buffers_at_once(rings):
    ring, perf, mixed = rings.maps.ring, rings.maps.perf, rings.maps.mixed
    assert bpfloader.poll([ring, perf, mixed], timeout=0.05) == []
    rings.progs.produce_perf.test_run(PACKET)
    assert bpfloader.poll([ring, perf, mixed], timeout=30) == [perf]
    rings.progs.produce.test_run(PACKET, repeat=2)
    found = [(reader.name, record.number) for reader, record in bpfloader.events([ring, perf, mixed], timeout=0)]
    assert sorted(found) == [("perf", 0), ("ring", 1), ("ring", 2)]
    with beside(lambda: rings.progs.produce_mixed.test_run(PACKET), after=0.2):
        assert next(bpfloader.events([ring, perf, mixed], timeout=30))[0] is mixed


def test_a_callbacks_error_loses_its_record_alone(rings):
    rings.progs.produce.test_run(PACKET, repeat=3000)
    numbers = []

    def callback(record):
        if record.number % 100 == 50:
            raise ZeroDivisionError
        numbers.append(record.number)

    for _ in range(30):
        with pytest.raises(ZeroDivisionError):
            rings.maps.ring.consume(callback)
    rings.maps.ring.consume(callback)
    assert numbers == [number for number in range(3000) if number % 100 != 50]


def test_the_descriptor_is_readable_when_there_is_a_record(rings):
    import select

    for reader, program in ((rings.maps.ring, rings.progs.produce), (rings.maps.perf, rings.progs.produce_perf)):
        assert select.select([reader], [], [], 0)[0] == []
        program.test_run(PACKET)
        assert select.select([reader], [], [], 30)[0] == [reader]


def test_reading_leaves_no_descriptors(rings_skel, kernel):
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        with rings_skel.Rings.open() as rings:
            rings.load()
            for reader, program in (
                (rings.maps.ring, rings.progs.produce),
                (rings.maps.perf, rings.progs.produce_perf),
            ):
                program.test_run(PACKET)
                assert len(list(reader.events(timeout=0))) == 1 and reader.poll(0) is False
            rings.maps.commands.submit(rings_skel.Command())
    assert len(os.listdir("/proc/self/fd")) == before
