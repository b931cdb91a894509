"""A daemon that starts again finds its pinned links and maps, and no event is lost."""

import contextlib
import inspect
import json
import os
import signal
import socket
import sys
import time
from collections import Counter
from itertools import groupby

import bpfloader
import pytest
from bpfloader.link import folder as folders
from compiling import IN_GUEST
from daemons import FIRST, daemon, forked, libc, taken

CALLS = {"on_call": 100, "on_typed_call": 200}  # what marks an event of each program

PACKETS = {"on_xdp": 400, "on_tc": 500, "on_egress": 600}

RESTARTS = 40

long = pytest.mark.skipif(IN_GUEST, reason="an emulated guest takes minutes for forty restarts")


def traffic(stop: int, result: int, packets: bool) -> None:
    """Makes calls, or sends packets, with consecutive numbers until something can be read; writes how many."""
    number = 0
    datagrams = socket.AF_INET, socket.SOCK_DGRAM
    with socket.socket(*datagrams) as sender, socket.socket(*datagrams) as receiver:
        receiver.bind(("127.0.0.1", 0))  # without one, ICMP answers would come with numbers of their own
        os.set_blocking(stop, False)
        while True:
            for _ in range(10):
                if packets:
                    sender.sendto((FIRST + number).to_bytes(4, "little"), receiver.getsockname())
                else:
                    libc.syscall(FIRST + number)
                number += 1
            time.sleep(0.002)
            with contextlib.suppress(BlockingIOError):
                os.read(stop, 1)
                os.write(result, str(number).encode())
                return


def run_daemons(start, packets: bool):
    """Starts a daemon again and again while numbers come; returns the events (number, program) and how many there were.

    Each is killed after it has read some; the last one reads the rest.
    """
    stop, result, events = os.pipe(), os.pipe(), []

    def one(pipe, version):
        with start(version) as bpf, open(pipe, "w", closefd=False) as file:
            for link in bpf.links:
                print(json.dumps([link.program, link.takeover]), file=file)
            print(json.dumps(bpf.maps.events.tuples(timeout=1)), file=file, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)

    with start(0) as first:
        how = [taken(first)]
        child = forked(lambda: traffic(stop[0], result[1], packets))
        time.sleep(0.01)
    for each in range(RESTARTS):
        pipe = os.pipe()
        started = forked(lambda: one(pipe[1], each // 10))
        os.close(pipe[1])
        with open(pipe[0]) as file:
            *links, read = map(json.loads, file)
        os.waitpid(started, 0)
        how.append(dict(links))
        events += map(tuple, read)
    os.write(stop[1], b"x")
    os.waitpid(child, 0)
    number = int(os.read(result[0], 20))
    with start(RESTARTS // 10 - 1) as last:
        how.append(taken(last))
        events += last.maps.events.tuples(timeout=0)
        assert last.bss.events_lost == 0
        assert last.bss.seen == len(events)
    for each in (*stop, *result):
        os.close(each)
    return events, number, how


def by_program(events):
    """The numbers of the events of each program, whichever its version."""
    rows = sorted((program // 100 * 100, number - FIRST) for number, program in events)
    return {program: [number for _, number in group] for program, group in groupby(rows, key=lambda row: row[0])}


def wrong(numbers: list[int], count: int) -> dict[int, int]:
    """The numbers that were seen more or less than once, and how often."""
    often = {**dict.fromkeys(range(count), 0), **Counter(numbers)}
    return {number: times for number, times in often.items() if times != 1}


@long
def test_forty_restarts_under_calls_lose_none(restart, pins, kernel):
    events, calls, how = run_daemons(lambda version: daemon(restart, pins, (*CALLS,), version), packets=False)
    assert calls > RESTARTS * 10
    for mark in CALLS.values():
        numbers = by_program(events)[mark]
        assert sorted({*numbers}) == list(range(calls))
        assert len(numbers) - calls < calls // 10  # twice only while both versions were attached, three times
    replaced = [each for each in how if set(each.values()) == {"replaced"}]
    assert len(replaced) == 3 and how.count(dict.fromkeys(CALLS, "kept")) == RESTARTS - 2
    assert how[0] == dict.fromkeys(CALLS, "attached")


@pytest.mark.slow
@long
def test_forty_restarts_under_packets_lose_none_and_repeat_none(restart, pins, own_network, cgroup):
    @contextlib.contextmanager
    def start(version):
        with restart.open() as bpf:
            bpf.select(PACKETS)
            bpf.rodata.version = version
            bpf.load(pin=pins)
            bpf.progs.on_xdp.attach_pinned(f"{pins}/links/on_xdp", "lo", mode="generic")
            bpf.progs.on_tc.attach_pinned(f"{pins}/links/on_tc", "lo", "ingress")
            bpf.progs.on_egress.attach_pinned(f"{pins}/links/on_egress", cgroup)
            yield bpf

    try:
        events, packets, how = own_network(lambda: run_daemons(start, packets=True))
    except bpfloader.AttachError as error:
        pytest.skip(error.what)
    assert packets > RESTARTS * 10
    for mark, numbers in by_program(events).items():
        assert wrong(numbers, packets) == {}, mark
    assert how.count(dict.fromkeys(PACKETS, "updated")) == 3
    assert how.count(dict.fromkeys(PACKETS, "kept")) == RESTARTS - 2


def test_a_new_version_takes_over_with_its_state(restart, next_version, pins, kernel):
    with daemon(restart, pins) as old:
        old.maps.counts[7] = 70
        libc.syscall(FIRST + 1)
        old.bss.events_lost = 3
    libc.syscall(FIRST + 2)
    with daemon(next_version, pins) as new:
        assert taken(new) == {"on_call": "replaced"} and new.maps.counts[7] == 70
        libc.syscall(FIRST + 3)
        assert [event.number - FIRST for event in new.maps.events.batch()] == [1, 2, 3]
        # Its variables are of another layout: they begin anew, and are pinned in the place of the old ones.
        assert (new.bss.events_lost, new.bss.seen) == (0, 1)
    with daemon(next_version, pins) as again:
        assert taken(again) == {"on_call": "kept"} and again.bss.seen == 1
        assert sorted(os.listdir(f"{pins}/maps")) == ["_bss", "counts", "events"]


def test_daemons_that_start_at_once_share_one_link(restart, pins, kernel):
    pipe = os.pipe()

    def start():
        with daemon(restart, pins) as bpf:
            (link,) = bpf.links
            os.write(pipe[1], f"{link.takeover} {link.id} {bpf.maps.events.id}\n".encode())

    children = [forked(start) for _ in range(6)]
    for child in children:
        os.waitpid(child, 0)
    os.close(pipe[1])
    with open(pipe[0]) as file:
        how, links, maps = zip(*map(str.split, file))
    assert sorted(how) == ["attached"] + ["kept"] * 5 and len({*links}) == len({*maps}) == 1


def test_what_a_killed_start_left_is_taken_away(restart, pins, kernel, attached):
    with daemon(restart, pins) as bpf:
        link = attached(bpf.progs.on_call.attach)  # before Linux 6.10 a raw tracepoint takes a program once
        link.pin(f"{pins}/links/on_call{folders.NEW}")
    with daemon(restart, pins) as bpf:
        assert os.listdir(f"{pins}/links") == ["on_call"] and taken(bpf) == {"on_call": "kept"}


def test_a_class_attaches_by_what_is_pinned(layout, skeleton_of, pins, kernel):
    """As a daemon writes it: one line, the first start and each that follows, of the same version and of another."""
    with layout.attach(pin=pins) as first:
        assert isinstance(first, layout) and taken(first) == {"on_call": "attached"}
        first.maps.hosts[1] = sys.modules[layout.__module__].Traffic(received=1, sent=2)
    child = forked(lambda: layout.attach(pin=pins))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    before = bpfloader.open_map(f"{pins}/maps/_bss")[0].passed
    libc.getppid()
    with layout.attach(pin=pins) as third:
        assert taken(third) == {"on_call": "kept"} and third.bss.passed > before and 1 in third.maps.hosts
    os.unlink(f"{pins}/maps/hosts")
    with skeleton_of("layout_next").LayoutNext.attach(pin=pins) as newer:
        assert taken(newer) == {"on_call": "replaced"}


def test_a_class_attaches_with_the_options_of_open(layout, pins, kernel):
    with layout.attach(pin=pins, programs=["on_call"], kconfig={}) as bpf:
        bpf.links.on_call.detach()
    with pytest.raises(TypeError, match="pin"):
        layout.attach()
    with pytest.raises(TypeError, match="no_such_option"):
        layout.attach(pin=pins, no_such_option=1)
    assert list(inspect.signature(layout.attach).parameters) == ["pin", "programs", "options"]


@pytest.mark.filterwarnings("error::ResourceWarning", "error::pytest.PytestUnraisableExceptionWarning")
def test_a_class_that_can_t_attach_leaves_nothing(layout, tmp_path, kernel):
    before = sorted(os.listdir("/proc/self/fd"))
    with pytest.raises(bpfloader.AttachError, match="is in no BPF file system"):
        layout.attach(pin=tmp_path / "no")
    with pytest.raises(KeyError):
        layout.attach(pin=tmp_path / "no", programs=["no_such"])
    assert sorted(os.listdir("/proc/self/fd")) == before
