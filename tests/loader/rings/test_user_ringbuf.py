"""User ring buffers: what Python sends is what a program drains."""

import time
from functools import partial
from mmap import PAGESIZE

import bpfloader
import pytest
from probing import beside
from ring_records import PACKET

ROOM = PAGESIZE // 24  # records of 16 bytes


@pytest.fixture
def commands(rings, rings_skel):
    """The ring, and what makes a record."""
    return rings.maps.commands, rings_skel.Command


def drain(rings) -> int:
    return rings.progs.drain_now.test_run(PACKET).value


def test_a_program_drains_what_was_sent(rings, commands):
    ring, command = commands
    for number in range(10):
        ring.submit(command(1, number, "text"))
    assert drain(rings) == rings.bss.drained == 10 and rings.bss.argument_sum == sum(range(10))
    assert rings.bss.last_command == command(1, 9, "text")
    assert drain(rings) == 0 and ring.free == ring.size == PAGESIZE


def test_a_hundred_thousand_go_round_and_round(rings, commands):
    ring, command = commands
    for number in range(100_000):
        while True:
            try:
                ring.submit(command(1, number))
                break
            except bpfloader.MapError:
                drain(rings)
    drain(rings)
    assert rings.bss.drained == 100_000 and rings.bss.argument_sum == sum(range(100_000)) & 0xFFFFFFFFFFFFFFFF


def test_a_full_ring_says_so_and_takes_more_once_drained(rings, commands):
    ring, command = commands
    for number in range(ROOM):
        ring.submit(command(1, number))
    started = time.monotonic()
    with pytest.raises(bpfloader.MapError, match="the user ring buffer commands is full; let the program drain it"):
        ring.submit(command(1, 0), timeout=0.1)
    assert 0.1 <= time.monotonic() - started < 5
    with beside(lambda: drain(rings), after=0.2):
        ring.submit(command(2, 0), timeout=None)
    assert drain(rings) == 1 and rings.bss.last_command.verb == 2


def test_a_reservation_is_seen_once_it_is_submitted(rings, commands):
    ring, command = commands
    held = ring.reserve()
    ring.submit(command(2, 5))
    assert drain(rings) != 2 and rings.bss.drained == 0  # the kernel stops at the busy record
    held.data[:] = command(1, 4, "first").to_bytes()
    held.submit()
    held.submit()
    assert drain(rings) == 2 and rings.bss.argument_sum == 9


def test_a_with_submits_or_discards(rings, commands):
    ring, command = commands
    with ring.reserve() as data:
        data[:] = command(1, 3).to_bytes()
    with pytest.raises(ZeroDivisionError), ring.reserve() as data:
        data[:] = command(1, 100).to_bytes()
        raise ZeroDivisionError
    ring.reserve(size=40).discard()
    drain(rings)
    assert rings.bss.argument_sum == 3 and ring.free == ring.size


def test_what_never_fits_is_an_error_at_once(commands):
    ring, command = commands
    with pytest.raises(
        bpfloader.LayoutError, match=f"a record of {2 * PAGESIZE} bytes doesn't fit commands, which has {PAGESIZE}"
    ):
        ring.reserve(2 * PAGESIZE, timeout=None)
    with pytest.raises(bpfloader.LayoutError, match="verb"):
        ring.submit(command(-1))
    with pytest.raises(bpfloader.LayoutError):
        ring.reserve(-1)


def test_a_user_ring_lives_as_long_as_its_object(rings_skel, kernel):
    with rings_skel.Rings.open() as rings:
        with pytest.raises(bpfloader.StateError, match="before load"):
            rings.maps.commands.submit(rings_skel.Command())
        rings.load()
        held = rings.maps.commands.reserve()
    held.submit()
    with pytest.raises(bpfloader.StateError, match="destroyed"):
        rings.maps.commands.submit(rings_skel.Command())


def test_threads_write_side_by_side(rings, commands):
    ring, command = commands

    def write(first):
        for number in range(first, first + 5000):
            ring.submit(command(1, number), timeout=30)

    with beside(*(partial(write, first) for first in (0, 5000, 10_000))) as running:
        while running():
            drain(rings)
    drain(rings)
    assert rings.bss.drained == 15_000 and rings.bss.argument_sum == sum(range(15_000))
