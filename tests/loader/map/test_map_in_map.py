"""Maps of programs and maps of maps."""

import os

import bpfloader
import pytest

PACKET = bytes(64)


def test_programs_call_those_that_are_put_into_an_array(using):
    bpf = using("next", "jump target")
    calls, jump = bpf.maps.next, bpf.progs.jump
    bpf.bss.number = 2
    assert jump.test_run(PACKET).value == 1 and dict(calls) == {}
    calls[2] = bpf.progs.target
    assert jump.test_run(PACKET).value == 42
    assert list(calls) == [2] and calls[2] > 0 and 3 not in calls
    with pytest.raises(bpfloader.LayoutError, match="put the object itself"):
        calls[3] = calls[2]
    calls[3] = bpf.progs.target.fd
    assert calls[3] == calls[2]
    del calls[2]
    assert jump.test_run(PACKET).value == 1 and list(calls) == [3]
    calls.clear()
    assert list(calls) == []
    with pytest.raises(bpfloader.MapError, match="EBADF.*descriptor given is closed"):
        calls[0] = 9999


def test_maps_in_maps_are_given_to_programs(using, maps_skel):
    bpf = using("outer outer_by_name first_inner", "nested")
    outer, named, pair = bpf.maps.outer, bpf.maps.outer_by_name, maps_skel.Pair
    assert list(outer) == [1] and outer[1].id == bpf.maps.first_inner.id  # as the object's file says
    named[pair(1, 2)] = held = named.create(max_entries=32, name="mine")
    assert held.info.max_entries == 32 and held.info.name == "mine" and type(held) is bpfloader.Hash
    bpf.bss.number, bpf.bss.answer = 1, 77
    assert bpf.progs.nested.test_run(PACKET).value == 3
    assert dict(bpf.maps.first_inner) == dict(outer[1]) == dict(named[pair(1, 2)]) == dict(held) == {1: pair(1, 77)}
    outer[3] = held
    del outer[1]
    assert {key: inner.id for key, inner in outer.items()} == {3: held.id}
    assert outer.batch(numpy=False)[0][1].id == held.id
    with pytest.raises(KeyError):
        outer[0]
    with pytest.raises(bpfloader.MapError, match="EINVAL.*`create` makes one"):
        outer[0] = outer
    with pytest.raises(bpfloader.StateError, match="the map exists"):
        held.max_entries = 3
    del bpf, held
    assert outer.popitem()[0] == 3


def test_inner_maps_close_with_their_last_use(using, maps_skel):
    bpf = using("outer first_inner")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(50):
        bpf.maps.outer[1][5] = maps_skel.Pair(1, 2)
    inner = bpf.maps.outer[1]
    assert inner[5].high == 2 and len(os.listdir("/proc/self/fd")) == before + 1
    bpf.destroy()
    assert inner[5].high == 2  # it is its own
    del inner
    with pytest.raises(bpfloader.StateError):
        bpf.maps.outer.create()


def test_ring_buffers_in_a_map(using):
    bpf = using("rings")
    bpf.maps.rings[0] = bpf.maps.rings.create()
    ring = bpf.maps.rings[0]
    assert isinstance(ring, bpfloader.RingBuffer) and ring.size == 4096
    assert ring.batch(0) == [] and ring.lost is None


def test_an_interrupted_drain_of_maps_loses_none(using, maps_skel, storm):
    """Nothing but the drain holds a map that it has removed."""
    outer, found = using("outer_by_name").maps.outer_by_name, []

    def step():
        found.append(outer.drain())
        return not found[-1]

    rounds = 15
    for number in range(rounds):
        for low in range(8):
            inner = outer.create()
            inner[0] = maps_skel.Pair(low, number)
            outer[maps_skel.Pair(low, number)] = inner
        storm(step, 2e-3)
    drained = [pair for each in found for pair in each]
    assert all(inner[0] == key for key, inner in drained)
    wanted = [maps_skel.Pair(low, number) for number in range(rounds) for low in range(8)]
    assert sorted((key.high, key.low) for key, _ in drained) == [(key.high, key.low) for key in wanted]


def test_what_makes_no_map_is_refused(using, maps_skel):
    bpf = using("first_inner outer outer_by_name")
    for types in ((maps_skel.Pair,), (1,)):
        with pytest.raises(TypeError, match=r"makes no map to be in outer; give it as bpfloader.inner\(bpfloader.Hash, Key"):
            bpfloader.open_map(bpf.maps.outer.id, *types)
    with pytest.raises(TypeError, match=r"next is a ProgArray: give no types; 1 given"):
        bpfloader.open_map(using("next").maps.next.id, maps_skel.Pair)
