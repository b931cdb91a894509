"""The names that those who come from bcc look for, with a skeleton and without."""

from pathlib import Path

import bpfloader
import pytest
from bpfloader.kernel.perf_event import online_cpus
from probing import beside
from ring_records import PACKET, on_cpu

CPU = online_cpus()[0]


@pytest.fixture(params=["skeleton", "object"])
def b(request, rings_skel, kernel):
    """The producers of rings.bpf.c as a bcc user has them: an object whose maps are items."""
    path = Path(rings_skel.__file__).with_name("rings.bpf.o")
    with rings_skel.Rings.open() if request.param == "skeleton" else bpfloader.Object.open(path) as opened:
        opened.load()
        yield opened


def number_of(event) -> int:
    """Of a typed record or of bytes, which `event` gives where there is no skeleton."""
    return int.from_bytes(event[:8], "little") if isinstance(event, bytes) else event.number


def test_a_ring_calls_back(b):
    got = []

    def print_event(ctx, data, size):
        assert type(data) is bytes and size == len(data) == 32
        got.append((ctx, number_of(b["ring"].event(data))))

    b["ring"].open_ring_buffer(print_event, "context")
    b.ring_buffer_poll(0)
    assert got == []
    b.progs["produce"].test_run(PACKET, repeat=3)
    b.ring_buffer_poll()
    assert got == [("context", 0), ("context", 1), ("context", 2)]
    with beside(lambda: b.progs["produce"].test_run(PACKET), after=0.1):
        b.ring_buffer_poll(timeout=30_000)
    b.progs["produce"].test_run(PACKET)
    b.ring_buffer_consume()
    assert [number for _, number in got] == [0, 1, 2, 3, 4]


def test_one_poll_serves_all_rings(b):
    got = []
    b["ring"].open_ring_buffer(lambda ctx, data, size: got.append(("ring", size)))
    b["small"].open_ring_buffer(lambda ctx, data, size: got.append(("small", size)))
    b.progs["produce"].test_run(PACKET)
    b.progs["produce_small"].test_run(PACKET)
    b.ring_buffer_poll(1000)
    b.ring_buffer_consume()
    assert sorted(got) == [("ring", 32), ("small", 8)]


def test_a_callbacks_error_leaves_the_others_for_the_next_poll(b):
    got = []

    def once_bad(ctx, data, size):
        got.append(number_of(b["ring"].event(data)))
        if got[-1] == 1:
            raise ZeroDivisionError

    b["ring"].open_ring_buffer(once_bad)
    b.progs["produce"].test_run(PACKET, repeat=4)
    with pytest.raises(ZeroDivisionError):
        b.ring_buffer_poll(1000)
    b.ring_buffer_poll(1000)
    assert got == [0, 1, 2, 3]


def test_a_perf_buffer_calls_back_with_the_cpu_and_what_was_lost(b):
    got, lost = [], []
    b["perf"].open_perf_buffer(lambda cpu, data, size: got.append((cpu, number_of(b["perf"].event(data)))),
                               page_cnt=2, lost_cb=lost.append)  # fmt: skip
    on_cpu(CPU, lambda: b.progs["produce_perf"].test_run(PACKET, repeat=2))
    b.perf_buffer_poll(1000)
    assert got == [(CPU, 0), (CPU, 1)] and lost == []
    on_cpu(CPU, lambda: b.progs["produce_perf"].test_run(PACKET, repeat=5000))
    b.perf_buffer_poll(1000)
    on_cpu(CPU, lambda: b.progs["produce_perf"].test_run(PACKET))
    b.perf_buffer_consume()
    assert sum(lost) + len(got) == 5003 and lost


def test_before_load_there_is_nothing_to_open(rings_skel, kernel):
    with rings_skel.Rings.open() as opened, pytest.raises(bpfloader.StateError, match="before load"):
        opened["ring"].open_ring_buffer(print)
    with pytest.raises(KeyError):
        opened["nothing"]
