"""Pinned maps that a daemon finds when it starts again: the same as declared, or refused by what differs."""

import os

import bpfloader
import pytest
from bpfloader.kernel.versions import version_of
from compiling import compile_text
from daemons import daemon, libc, refused, taken


def test_a_pinned_map_of_another_declaration_is_refused(unloaded, restart, pins):
    with daemon(restart, pins):
        pass
    unloaded.maps.counts.max_entries = 32
    said = refused(unloaded, pins)
    assert f"the map counts pinned at {pins}/maps/counts has max_entries 64, the program declares max_entries 32" in said
    assert f"declare it as before, or give its contents up: python -m bpfloader detach --pin {pins}/maps/counts" in said


def test_a_pinned_map_of_equal_size_and_another_layout_is_refused(layout, skeleton_of, pins, kernel):
    """sent and received have changed places: the counts of one would be taken for those of the other."""
    with layout.attach(pin=pins):
        pass
    with layout.attach(pin=pins) as same:
        assert taken(same) == {"on_call": "kept"}
    with pytest.raises(bpfloader.MapError) as caught:
        skeleton_of("layout_next").LayoutNext.attach(pin=pins)
    said = (f"the map hosts pinned at {pins}/maps/hosts has a value with __u64 received at byte 0 where the program has "
            f"__u64 sent at byte 0; declare it as before, or give its contents up: python -m bpfloader detach --pin ")
    assert said in str(caught.value)
    with bpfloader.open_map(f"{pins}/maps/hosts") as hosts:
        assert len(hosts) == 0


def test_every_way_to_a_map_that_exists_compares_its_members(layout, skeleton_of, bpffs, kernel):
    pin, other = bpffs / "hosts", skeleton_of("layout_next").LayoutNext
    differs = "a value with __u64 received at byte 0 where the program has __u64 sent at byte 0; "
    with layout.open() as first:
        first.maps.hosts.pin_path = pin
        first.load()
    with layout.open() as again, layout.maps.hosts.open(pin) as opened:
        again.maps.hosts.reuse(opened)
        again.load()
        assert again.maps.hosts.id == opened.id
    with other.open() as second:
        with pytest.raises(bpfloader.MapError, match=f"can't reuse .*hosts' as the map hosts: it has {differs}give a map of"):
            second.maps.hosts.reuse(str(pin))
        with pytest.raises(bpfloader.MapError, match=f"can't open .*hosts' as the map hosts: it has {differs}.*open_map"):
            other.maps.hosts.open(str(pin))
        second.maps.hosts.pin_path = pin
        with pytest.raises(bpfloader.MapError, match=f"the map hosts pinned at {pin} has {differs}declare it as before"):
            second.load()
        second.maps.hosts.pin_path = None
        second.load()  # nothing was loaded


def test_variables_of_another_layout_begin_anew(layout, skeleton_of, pins, kernel):
    with layout.attach(pin=pins) as first:
        libc.getppid()
        passed = first.bss.passed
    os.unlink(f"{pins}/maps/hosts")
    with skeleton_of("layout_next").LayoutNext.open() as second:
        second.load(pin=pins)
        assert passed > 0 and (second.bss.passed, second.bss.dropped) == (0, 0)
    with skeleton_of("layout_next").LayoutNext.open() as third:
        third.bss.dropped = 5
        third.load(pin=pins)
        assert third.bss.dropped == 0  # what is pinned goes on


LONG_NAMES = """#include "mini_bpf.h"
char LICENSE[] SEC("license") = "GPL";
__u64 SEC(".bss.statistics_of_a") a;
__u64 SEC(".bss.statistics_of_b") b;
__u64 SEC(".data.statistics_of_a") c = 1;
__u64 SEC(".data.statistics_of_b") d = 2;
SEC("tc") int count(void *ctx) { a += 1; b += 10; c += 1; d += 10; return 0; }
"""


def test_sections_whose_names_begin_alike_are_pinned_apart(clang, kernel, pins):
    """libbpf has 15 characters of `.bss.statistics_of_a`: two sections shared one pin, and so one map."""
    if version_of(bpfloader.version()) < (1, 1):
        pytest.skip("libbpf 1.0 has no such sections")
    names = [f".{kind}.statistics_of_{letter}" for kind in ("bss", "data") for letter in "ab"]
    seen = []
    for runs in (1, 2):
        with bpfloader.Object.open(compile_text(clang, LONG_NAMES)) as bpf:
            assert sorted(each.name for each in bpf.maps) == names
            bpf.load(pin=pins)
            bpf.progs["count"].test_run(bytes(64))
            seen.append([bpf.maps[name].id for name in names])
            sections = [bpfloader.open_map(number)[0] for number in seen[-1]]
            assert [getattr(each, letter) for each, letter in zip(sections, "abcd")] == [runs, 10 * runs, 1 + runs, 2 + 10 * runs]
    assert sorted(os.listdir(f"{pins}/maps")) == sorted(name.replace(".", "_") for name in names)
    assert seen[0] == seen[1] and len({*seen[0]}) == 4


def test_without_the_right_to_read_btf_sizes_alone_are_compared(layout, skeleton_of, pins, kernel, monkeypatch):
    def denied(_number):
        raise bpfloader.CallError("", errno=1)

    monkeypatch.setattr("bpfloader.object.pinned_types.read_btf", denied)
    with layout.attach(pin=pins):
        pass
    with skeleton_of("layout_next").LayoutNext.attach(pin=pins) as second:
        assert taken(second) == {"on_call": "replaced"}


def test_a_map_that_reuse_gave_is_left_where_it_is(restart, pins, kernel):
    with restart.open() as one, restart.open() as other:
        for each in (one, other):
            each.select(["on_call"])
        one.load()
        other.maps.counts.reuse(one.maps.counts)
        other.load(pin=pins)
        assert other.maps.counts.id == one.maps.counts.id
        assert sorted(os.listdir(f"{pins}/maps")) == ["_bss", "events"]
