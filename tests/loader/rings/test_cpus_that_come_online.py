"""Perf buffers of CPUs that come online after they were opened, and of those that go offline and come back."""

import contextlib
import os
import time
import warnings
from pathlib import Path

import bpfloader
import pytest
from bpfloader.rings import perf_buffer
from compiling import IN_GUEST
from probing import beside
from ring_records import PACKET, on_cpu

SWITCH = Path("/sys/devices/system/cpu/cpu1/online")


@pytest.fixture
def listed(monkeypatch):
    """The CPUs that the kernel lists as online, to be set: of these, all are online here."""
    cpus = sorted(os.sched_getaffinity(0))[:2]
    if len(cpus) < 2:
        pytest.skip("this machine has one CPU")
    online = [cpus]
    monkeypatch.setattr(perf_buffer, "online_cpus", lambda: online[0])
    monkeypatch.setattr(perf_buffer, "LOOK_AT_CPUS", 0.01)
    return online


def sent_until(rings, cpu, read, seconds=60):
    """Sends records from a CPU until `read` gives some; returns those."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        on_cpu(cpu, lambda: rings.progs.produce_perf.test_run(PACKET))
        if found := read():
            return found
    pytest.fail(f"no record of CPU {cpu} came")


def loaded(module):
    rings = module.Rings.open()
    rings.load()
    return rings


READ = {
    "batch": lambda ring: ring.batch(),
    "waiting": lambda ring: ring.batch(timeout=0.2),
    "events": lambda ring: list(ring.events(timeout=0.1)),
    "poll": lambda ring: ring.poll(0.1) and ring.batch(),
}


@pytest.mark.parametrize("way", READ)
def test_a_cpu_that_comes_online_gets_a_buffer(rings_skel, kernel, listed, way):
    (first, second), listed[0] = listed[0], listed[0][:1]
    with loaded(rings_skel) as rings:
        on_cpu(second, lambda: rings.progs.produce_perf.test_run(PACKET))
        assert READ[way](rings.maps.perf) in ([], False)  # nobody reads that CPU's
        listed[0] = [first, second]
        assert len(sent_until(rings, second, lambda: READ[way](rings.maps.perf))) == 1
        on_cpu(first, lambda: rings.progs.produce_perf.test_run(PACKET))
        assert len(READ[way](rings.maps.perf)) == 1


def test_who_waits_is_woken_by_a_cpu_that_came_online(rings_skel, kernel, listed):
    (first, second), listed[0] = listed[0], listed[0][:1]
    with loaded(rings_skel) as rings:
        found = []
        with beside(lambda: found.append(next(rings.maps.perf.events(timeout=60)))) as reading:
            listed[0] = [first, second]
            end = time.monotonic() + 60
            while reading() and time.monotonic() < end:
                on_cpu(second, lambda: rings.progs.produce_perf.test_run(PACKET))
                time.sleep(0.01)
        assert len(found) == 1


def test_what_a_cpu_sent_before_it_went_offline_is_read(rings_skel, kernel, listed):
    """The kernel lost some, too, which count after the buffer is gone."""
    first, second = both = listed[0]
    with loaded(rings_skel) as rings:
        assert not rings.maps.perf.poll(0)  # with what a reader that waits needs
        perf, descriptors = rings.maps.perf, len(os.listdir("/proc/self/fd"))
        for turn in range(5):
            on_cpu(second, lambda: rings.progs.produce_perf.test_run(PACKET, repeat=20 + turn))
            for cpus in ([first], both):
                listed[0] = cpus
                time.sleep(0.02)
                perf.poll(0)
            assert len(perf.batch()) == 20 + turn
        on_cpu(second, lambda: rings.progs.produce_perf.test_run(PACKET, repeat=10_000))
        found = len(perf.batch())
        on_cpu(second, lambda: rings.progs.produce_perf.test_run(PACKET))
        found += len(perf.batch())
        for cpus in ([first], both):
            listed[0] = cpus
            time.sleep(0.02)
            assert not perf.poll(0)
        assert found + perf.lost == 10_001 and len(os.listdir("/proc/self/fd")) == descriptors


def test_a_buffer_that_the_kernel_refuses_is_told_once_and_tried_again(rings_skel, kernel, listed, monkeypatch):
    (first, second), listed[0] = listed[0], listed[0][:1]
    with loaded(rings_skel) as rings:
        listed[0] = [first, second]

        def refuse(_cpu):
            raise bpfloader.PrivilegeError("can't open a perf buffer for CPU 1 (EACCES: Permission denied)", fix="be root")

        with monkeypatch.context() as patch:
            patch.setattr(perf_buffer, "open_bpf_output", refuse)
            time.sleep(0.02)
            with pytest.warns(RuntimeWarning, match=f"perf: CPU {second} has come online, and .* is lost: can't open a perf"):
                rings.maps.perf.batch()
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                time.sleep(0.02)
                assert rings.maps.perf.batch() == []
        assert len(sent_until(rings, second, rings.maps.perf.batch)) == 1


def test_a_child_of_fork_leaves_the_parents_descriptors_alone(rings_skel, kernel, listed):
    first, listed[0] = listed[0][0], listed[0][:1]
    with loaded(rings_skel) as rings:
        fds = rings.maps.perf._memory.fds
        if not (child := os.fork()):
            own = rings.maps.perf._memory
            own.close()
            os._exit(own.fds == fds)
        assert os.waitpid(child, 0)[1] == 0
        on_cpu(first, lambda: rings.progs.produce_perf.test_run(PACKET))
        assert rings.maps.perf.poll(30)


@contextlib.contextmanager
def offline():
    """Takes CPU 1 offline for the `with`."""
    SWITCH.write_text("0")
    try:
        yield
    finally:
        SWITCH.write_text("1")


@pytest.mark.skipif(not IN_GUEST, reason="takes no CPU from others: for a guest of its own")
def test_a_real_cpu_that_comes_and_goes(rings_skel, kernel):
    if not SWITCH.exists():
        pytest.skip("CPU 1 can't be taken offline")
    with offline():
        rings = loaded(rings_skel)
    with rings:
        for _ in range(2):
            numbers = [record.number for record in sent_until(rings, 1, rings.maps.perf.batch)]
            on_cpu(1, lambda: rings.progs.produce_perf.test_run(PACKET, repeat=50))  # noqa: B023
            with offline():
                time.sleep(3 * perf_buffer.LOOK_AT_CPUS)
                started = time.process_time()
                assert rings.maps.perf.poll(2) and len(rings.maps.perf.batch()) == 50 and numbers
                assert not rings.maps.perf.poll(3)  # in which an ended event must not keep it awake
                assert time.process_time() - started < 1.5
        on_cpu(0, lambda: rings.progs.produce_perf.test_run(PACKET))
        assert len(rings.maps.perf.batch()) == 1 and rings.maps.perf.lost == 0
