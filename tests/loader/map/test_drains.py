"""What a drain has taken out of a map reaches its caller, whatever raises meanwhile."""

import gc
import os
import warnings

import bpfloader
import pytest
from compiling import compile_text
from interrupts import Interrupt
from ring_records import c
from slow import slow_after

MAPS = """#include "mini_bpf.h"
char LICENSE[] SEC("license") = "GPL";
struct key { __u8 kind; __u32 number; };
#define MAP(name, type_, entries, flags, key_) \\
	struct { __uint(type, type_); __uint(max_entries, entries); __uint(map_flags, flags); \\
		__type(key, key_); __type(value, __u64); } name SEC(".maps")
MAP(padded, 1, 1024, 0, struct key);
MAP(numbers, 1, 2048, 0, __u32);
MAP(recent, 9, 8192, 0, __u32);
MAP(per_cpu, 5, 2048, 0, __u32);
struct { __uint(type, 22); __uint(max_entries, 2048); __type(value, __u64); } queue SEC(".maps");
struct { __uint(type, 23); __uint(max_entries, 2048); __type(value, __u64); } stack SEC(".maps");
"""


@pytest.fixture
def opened(clang, kernel):
    """A function: a map's name, and types where no BTF tells them -> the map."""
    with bpfloader.Object.open(compile_text(clang, MAPS)) as bpf:
        bpf.load()
        yield lambda name, *types: bpfloader.open_map(bpf.maps[name].id, *types)


DRAINS = {
    "drain": lambda table: [key.number for key, _ in table.drain()],
    "numpy": lambda table: [int(number) for number in table.drain(numpy=True)[0]["number"]],
    "bcc": lambda table: [key.number for key, _ in table.items_lookup_and_delete_batch()],
}


@pytest.mark.parametrize("way", DRAINS)
@pytest.mark.parametrize("kernel_batches", [True, False], ids=["batches", "one by one"])
def test_a_warning_that_is_an_exception_loses_no_entry(opened, request, way, kernel_batches):
    if way == "numpy":
        pytest.importorskip("numpy")
    if not kernel_batches:
        request.getfixturevalue("no_batches")
    table = opened("padded")
    for number in range(1000):
        table._call("update_elem", bytes([1, 9, 9, 9, *number.to_bytes(4, "little")]), bytes(8), 0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(RuntimeWarning, match="padded: the key Key.* holds bytes that no member shows"):
            DRAINS[way](table)
        assert sorted(DRAINS[way](table)) == list(range(1000))
        assert DRAINS[way](table) == []


@pytest.mark.parametrize("way", slow_after(3, ["pairs", "one by one", "numpy", "alternating"]))
@pytest.mark.parametrize("name", slow_after(1, ["numbers", "recent", "per_cpu"]))
def test_an_interrupt_loses_no_entry_and_gives_none_twice(opened, storm, request, name, way):
    if way in ("numpy", "alternating"):
        pytest.importorskip("numpy")
    if way == "one by one":
        request.getfixturevalue("no_batches")
    table, found, turns = opened(name), [], [0]
    value = table._value.zero()

    def step():
        turns[0] += 1
        if way == "numpy" or (way == "alternating" and turns[0] % 2):
            found.append(table.drain(numpy=True))
            return not len(found[-1][0])
        found.append(table.drain())
        return not found[-1]

    rounds, entries = 20, 1000
    for start in range(0, rounds * entries, entries):
        table.update((start + number, value) for number in range(entries))
        storm(step)
    numbers = []
    for each in found:
        numbers += each[0].tolist() if isinstance(each, tuple) else [key for key, _ in each]
    assert len(numbers) == len(set(numbers)) and sorted(numbers) == list(range(rounds * entries))


@pytest.mark.parametrize("name", ["queue", "stack"])
def test_an_interrupt_loses_no_value_of_a_queue(opened, storm, name):
    values, found = opened(name, c.u64), []

    def step():
        found.append(values.drain())
        return not found[-1]

    for start in range(0, 10_000, 1000):
        values.extend(range(start, start + 1000))
        storm(step)
    assert sorted(number for each in found for number in each) == list(range(10_000))


def test_a_drain_gives_a_queue_in_its_order(opened):
    queue, stack = opened("queue", c.u64), opened("stack", c.u64)
    for values in (queue, stack):
        values.extend(range(300))
    assert queue.drain() == list(range(300)) and stack.drain() == list(reversed(range(300)))
    assert queue.drain() == [] == stack.drain()


def test_what_an_interrupted_drain_has_taken_comes_with_the_next(opened, monkeypatch):
    """The interrupt comes when all entries are deleted, before they are decoded."""
    table = opened("numbers")
    table.update((number, number) for number in range(700))

    def interrupted(*_):
        monkeypatch.undo()
        raise Interrupt

    monkeypatch.setattr(type(table), "_pairs", interrupted)
    with pytest.raises(Interrupt):
        table.drain()
    assert len(table) == 0
    table[700] = 700
    assert sorted(table.drain()) == [(number, number) for number in range(701)]
    assert table.drain() == []


def test_a_handler_that_drains_within_a_drain_shares_nothing_with_it(opened, monkeypatch):
    table, nested = opened("numbers"), []
    table.update((number, number) for number in range(700))
    ours = type(table)._pairs

    def handled(self, chunks):
        monkeypatch.undo()
        result = ours(self, chunks)
        nested.extend(self.drain())
        return result

    monkeypatch.setattr(type(table), "_pairs", handled)
    outer = table.drain()
    assert sorted(outer + nested) == [(number, number) for number in range(700)]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_forgotten_object_is_destroyed_though_its_warning_is_an_exception(clang, kernel):
    data = compile_text(clang, MAPS)
    gc.collect()
    descriptors = len(os.listdir("/proc/self/fd"))
    bpf = bpfloader.Object.open(data)
    bpf.load()
    assert len(os.listdir("/proc/self/fd")) > descriptors
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        del bpf
        gc.collect()
    assert len(os.listdir("/proc/self/fd")) == descriptors
