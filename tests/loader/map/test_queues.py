"""Queues, stacks and bloom filters, filled by programs and from Python."""

import bpfloader
import pytest

PACKET = bytes(64)


def test_what_a_program_pushes_is_popped_and_the_other_way_round(using, maps_skel):
    bpf = using("queue stack big", "fill take")
    for number in (5, 7):
        bpf.bss.number = number
        bpf.progs.fill.test_run(PACKET)
    assert bpf.maps.queue.peek() == maps_skel.Pair(5, 6)
    assert bpf.progs.take.test_run(PACKET).value == 6 and bpf.bss.number == 7
    bpf.maps.stack.extend([1, 2])
    bpf.progs.take.test_run(PACKET)
    assert bpf.bss.number == 2
    assert list(bpf.maps.stack) == [2, 1, 7, 5] and list(bpf.maps.queue) == []
    with pytest.raises(TypeError):
        len(bpf.maps.queue)


def test_a_bloom_filter_is_asked_by_a_program(using):
    bpf = using("bloom", "seen")
    bpf.maps.bloom.update(range(0, 100, 2))
    assert all(number in bpf.maps.bloom for number in range(0, 100, 2))
    assert sum(number in bpf.maps.bloom for number in range(1, 100, 2)) < 10
    said = []
    for number in range(100):
        bpf.bss.number = number
        said.append(bpf.progs.seen.test_run(PACKET).value == 1)
    assert said == [number in bpf.maps.bloom for number in range(100)]
    with pytest.raises(bpfloader.LayoutError):
        -1 in bpf.maps.bloom  # noqa: B015
