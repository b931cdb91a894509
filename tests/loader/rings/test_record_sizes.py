"""Records of another size than the type that reads them: none is cut or lost in silence."""

import asyncio
import warnings

import bpfloader
import pytest
from bpfloader.kernel.perf_event import online_cpus
from ring_records import PACKET, Pair, c, on_cpu

NUMBERED = 32  # bytes of the records that are sent; Pair has 12
LONGER = "{}: a record of {} bytes is longer than its type Pair, which has 12: the rest is left out; declare the type"


async def _awaited(ring):
    found = []
    async for record in ring:
        found.append(record)
        if len(found) == 3:
            return found


READ = {
    "events": lambda ring: list(ring.events(timeout=0)),
    "several": lambda ring: [record for _, record in bpfloader.events([ring], timeout=0)],
    "batch": lambda ring: ring.batch(),
    "tuples": lambda ring: [Pair(*row) for row in ring.tuples()],
    "numpy": lambda ring: [Pair(*map(int, row)) for row in ring.batch(numpy=True)],
    "consume": lambda ring: found if ring.consume((found := []).append) else found,
    "async": lambda ring: asyncio.run(asyncio.wait_for(_awaited(ring), 30)),
}


@pytest.fixture(params=READ)
def read(request):
    """A function that reads a ring in one of the ways; that by numpy is skipped without it."""
    if request.param == "numpy":
        pytest.importorskip("numpy")
    return READ[request.param]


@pytest.fixture
def read_as_pairs(rings):
    """A function: `ring` or `perf` -> what sends three records of 32 bytes to it, and the map with a smaller type."""
    opened = []

    def open_(name):
        program = rings.progs.produce if name == "ring" else rings.progs.produce_perf
        opened.append(bpfloader.open_map(getattr(rings.maps, name).id, Pair))
        opened[-1].fileno()  # takes the records from now on
        return (lambda: on_cpu(online_cpus()[0], lambda: program.test_run(PACKET, repeat=3))), opened[-1]

    yield open_
    for each in opened:
        each.close()


@pytest.mark.parametrize("name", ["ring", "perf"])
def test_longer_records_are_warned_of_once(read_as_pairs, name, read):
    send, pairs = read_as_pairs(name)
    send()
    length = NUMBERED if name == "ring" else NUMBERED + 4  # a sample's size and its data fill words of 8 bytes
    with pytest.warns(RuntimeWarning, match=LONGER.format(name, length)) as said:
        assert [pair.first for pair in read(pairs)] == [0, 1, 2]
    assert [warning.filename for warning in said] == [__file__]
    send()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert [pair.first for pair in read(pairs)] == [3, 4, 5]


@pytest.mark.parametrize("name", ["ring", "perf"])
def test_a_warning_that_is_an_exception_loses_no_record(read_as_pairs, name, read):
    send, pairs = read_as_pairs(name)
    send()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(RuntimeWarning, match="is longer than its type Pair"):
            read(pairs)
        assert [pair.first for pair in read(pairs)] == [0, 1, 2]


@pytest.mark.filterwarnings("error")
def test_all_bytes_of_any_record_are_read_without_a_warning(read_as_pairs, rings):
    for name, numbers in (("ring", [0, 1, 2]), ("perf", [3, 4, 5])):
        send, pairs = read_as_pairs(name)
        send()
        assert [pairs.event(data).first for data in pairs.raw()] == numbers
    rings.progs.produce_mixed.test_run(PACKET, repeat=10)
    assert len(rings.maps.mixed.batch()) == 10  # of bytes


@pytest.mark.filterwarnings("error")
def test_a_perf_buffers_padding_is_no_longer_record(rings):
    class Six(bpfloader.Struct):
        text: bytes = c.raw(6) @ 0

    with bpfloader.open_map(rings.maps.perf_bytes.id, bpfloader.struct(6)(Six)) as texts:
        texts.fileno()
        rings.progs.produce_perf_bytes.test_run(PACKET)
        assert [record.text for record in texts.batch()] == [b"abcdef"]


@pytest.mark.parametrize("way", ["events", "batch", "consume", "several"])
def test_a_shorter_record_names_its_ring_and_sizes_and_is_passed_over(rings, way):
    with bpfloader.open_map(rings.maps.mixed.id, c.u64) as numbers:
        rings.data.next_length = 3
        rings.progs.produce_mixed.test_run(PACKET)
        rings.data.next_length = 7
        rings.progs.produce_mixed.test_run(PACKET)
        with pytest.raises(bpfloader.RecordError) as caught:
            READ[way](numbers)
        assert str(caught.value) == (
            "mixed: a record of 4 bytes can't hold u64, which has 8; "
            "submit what the ring's type says, or declare the type that is submitted"
        )
        assert READ[way](numbers) == [0x0808080808080808]
