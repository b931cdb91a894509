"""Rings whose positions wrap around, as they do after 2^32 bytes on 32-bit machines and after 2^64 on others.

A ring of the kernel begins at 0, so these are of memory that the tests lay out as linux/bpf.h and ringbuf.c do.
"""

import struct

import pytest
from bpfloader.rings import ringbuf, user_ringbuf
from bpfloader.rings.barrier import Fence
from bpfloader.codec.records import RecordDecoder, BytesDecoder, TupleDecoder
from bpfloader.rings.ringbuf import BUSY_BIT, DISCARD_BIT, RECORD_HEADER_SIZE, Records, Ring, record_stride
from bpfloader.rings.memory import BUSY_HEAD, EMPTY, READY
from ring_records import Pair

SIZE = 1024
WIDTHS = {"32 bits": 1 << 32, "64 bits": 1 << 64}


@pytest.fixture(params=WIDTHS)
def positions(request, monkeypatch) -> int:
    """Where positions wrap around, for the code under test as well."""
    wrap = WIDTHS[request.param]
    for module in (ringbuf, user_ringbuf):
        monkeypatch.setattr(module, "POSITION_RANGE", wrap)
    return wrap


class Memory:
    """A ring, the kernel's side: `write` appends a record as bpf_ringbuf_reserve and _submit do."""

    def __init__(self, wrap: int, start: int):
        self.wrap, self.data = wrap, bytearray(2 * SIZE)
        self.consumer, self.producer = (memoryview(bytearray(8)).cast("Q") for _ in range(2))
        self.consumer[0] = self.producer[0] = start % wrap

    def write(self, payload: bytes, flags: int = 0) -> None:
        block = (struct.pack("=II", len(payload) | flags, 0) + payload).ljust(record_stride(len(payload)), b"\xaa")
        for number, byte in enumerate(block):
            place = (self.producer[0] + number) % SIZE
            self.data[place] = self.data[place + SIZE] = byte
        self.producer[0] = (self.producer[0] + len(block)) % self.wrap

    def ring(self) -> Ring:
        ring = Ring.__new__(Ring)
        ring._fence, ring.consumer, ring.producer = Fence(), self.consumer, self.producer
        ring.records = Records(memoryview(self.data), ring._fence)
        return ring


@pytest.mark.parametrize("kind", [RecordDecoder, TupleDecoder, BytesDecoder])
@pytest.mark.parametrize("before", [0, 8, 16, 24, 120, 1016])
def test_records_are_read_over_the_wrap(positions, before, kind):
    memory = Memory(positions, positions - before)
    ring, decoder, found, sent = memory.ring(), kind(Pair.codec, RECORD_HEADER_SIZE, record_stride(12)), [], []
    for turn in range(60):
        for number in range(turn % 7):
            pair = Pair(turn, number)
            memory.write(pair.to_bytes() + b"more" * (turn % 3 == 1), DISCARD_BIT if number == 3 else 0)
            sent += [pair] * (number != 3)
        assert ring.available() == (memory.producer[0] - memory.consumer[0]) % positions
        values, mark = ring.read_records(decoder, None if turn % 2 else 2)
        found += values
        ring.release(mark)
        ring.release(mark)  # doing it twice is doing it once
        if turn % 7 == 6:
            values, mark = ring.read_records(decoder, None)
            found += values
            ring.release(mark)
            assert ring.available() == 0
    values, _ = ring.read_records(decoder, None)
    found += values
    as_pairs = {RecordDecoder: lambda v: v, TupleDecoder: lambda v: Pair(*v), BytesDecoder: lambda v: Pair.from_bytes(v)}[kind]
    assert [as_pairs(value) for value in found] == sent


def test_a_stale_mark_moves_nothing(positions):
    memory = Memory(positions, positions - 24)
    ring, decoder = memory.ring(), RecordDecoder(Pair.codec, RECORD_HEADER_SIZE, record_stride(12))
    memory.write(Pair(1).to_bytes())
    _, first = ring.read_records(decoder, None)
    ring.release(first)
    memory.write(Pair(2).to_bytes())
    _, second = ring.read_records(decoder, None)
    ring.release(second)
    at = memory.consumer[0]
    ring.release(first)
    ring.release(None)
    assert memory.consumer[0] == at == memory.producer[0] == 24


def test_busy_and_discarded_records_at_the_wrap(positions):
    memory = Memory(positions, positions - 48)
    ring, decoder = memory.ring(), RecordDecoder(Pair.codec, RECORD_HEADER_SIZE, record_stride(12))
    assert ring.state() == EMPTY
    memory.write(Pair(1).to_bytes(), DISCARD_BIT)
    assert ring.state() == EMPTY and memory.consumer[0] == positions - 24
    busy_at = memory.producer[0] % SIZE
    memory.write(Pair(2).to_bytes(), BUSY_BIT)
    memory.write(Pair(3).to_bytes())
    assert ring.state() == BUSY_HEAD and ring.read_records(decoder, None) == ([], positions - 24)
    for place in (busy_at, busy_at + SIZE):
        memory.data[place : place + 4] = struct.pack("=I", 12)
    assert ring.state() == READY and ring.read_records(decoder, None) == ([Pair(2), Pair(3)], positions + 24)
    ring.release(positions + 24)
    assert memory.consumer[0] == 24 and ring.state() == EMPTY


def test_a_user_ring_is_written_over_the_wrap(positions):
    ring = user_ringbuf.UserRing.__new__(user_ringbuf.UserRing)
    ring.size, ring.fence, ring.data = SIZE, Fence(), memoryview(bytearray(2 * SIZE))
    ring.words = ring.data.cast("I")
    ring.consumer, ring.producer = (memoryview(bytearray(8)).cast("Q") for _ in range(2))
    ring.consumer[0] = ring.producer[0] = positions - 40
    for number in range(40):
        assert ring.free() == SIZE
        offsets = [ring.put(number.to_bytes(8, "little"), 0) for _ in range(SIZE // 16)]
        assert None not in offsets and ring.put(b"", 0) is None and ring.free() == 0
        assert all(ring.words[offset >> 2] == 8 for offset in offsets)
        ring.consumer[0] = (ring.consumer[0] + SIZE) % positions
        assert ring.producer[0] == ring.consumer[0] < positions
