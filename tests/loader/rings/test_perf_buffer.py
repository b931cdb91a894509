"""Perf buffers: one for each CPU, records of this kernel's, and the parser alone on made-up data."""

import ctypes
import os
import struct
import time
from mmap import PAGESIZE

import bpfloader
import pytest
from bpfloader.codec.records import RecordDecoder, BytesDecoder
from bpfloader.rings.perf_records import SAMPLE_HEADER_SIZE, PERF_RECORD_LOST, PERF_RECORD_SAMPLE, samples, sample_stride
from bpfloader.kernel.perf_event import online_cpus
from hypothesis import given, settings
from hypothesis import strategies as st
from probing import beside
from ring_records import PACKET, Pair, check, on_cpu

MS_BIND = 1 << 12  # linux/mount.h


def test_each_cpu_has_its_buffer(rings):
    for cpu in online_cpus():
        on_cpu(cpu, lambda: rings.progs.produce_perf.test_run(PACKET, repeat=1000))
    found = rings.maps.perf.batch(timeout=0)
    check(found)
    assert sorted(record.number for record in found) == list(range(1000 * len(online_cpus())))
    assert rings.maps.perf.lost == 0 and not rings.maps.perf.poll(0)


@pytest.mark.parametrize("way", ["events", "consume", "batch", "tuples", "numpy", "limited"])
def test_every_way_to_read_gives_the_same(rings, way):
    perf, numbers = rings.maps.perf, []
    if way == "numpy":
        pytest.importorskip("numpy")
    for _ in range(10):
        on_cpu(online_cpus()[0], lambda: rings.progs.produce_perf.test_run(PACKET, repeat=2000))
        if way == "events":
            numbers += [record.number for record in perf.events(timeout=0)]
        elif way == "consume":
            assert perf.consume(lambda record: numbers.append(record.number)) == 2000
        elif way == "batch":
            numbers += [record.number for record in perf.batch(timeout=0)]
        elif way == "tuples":
            numbers += [record[0] for record in perf.tuples(timeout=0)]
        elif way == "numpy":
            numbers += perf.batch(timeout=0, numpy=True)["number"].tolist()
        else:
            while some := perf.batch(timeout=0, limit=700):
                assert len(some) <= 700
                numbers += [record.number for record in some]
    assert numbers == list(range(20_000))


def test_lost_records_are_counted_exactly(rings):
    def send(times):
        on_cpu(online_cpus()[0], lambda: rings.progs.produce_perf.test_run(PACKET, repeat=times))

    send(10_000)
    found = len(rings.maps.perf.batch(timeout=0))
    assert 0 < found < 10_000 and rings.maps.perf.lost == 0
    send(1)  # the kernel tells of the loss with the next record that finds room
    found += len(rings.maps.perf.batch(timeout=0))
    assert rings.maps.perf.lost == 10_001 - found


def test_bytes_keep_the_kernels_padding(rings):
    rings.progs.produce_perf_bytes.test_run(PACKET)
    (data,) = rings.maps.perf_bytes.batch(timeout=0)
    assert data[:6] == b"abcdef" and len(data) <= 13


def test_a_record_too_short_for_its_type_is_passed_over(rings):
    def send():
        for program in (rings.progs.produce_perf, rings.progs.produce_perf_short, rings.progs.produce_perf):
            program.test_run(PACKET)

    on_cpu(online_cpus()[0], send)
    records = rings.maps.perf.events(timeout=0)
    assert next(records).number == 0
    with pytest.raises(bpfloader.RecordError, match="can't hold Numbered, which has 32"):
        next(records)
    assert [record.number for record in rings.maps.perf.events(timeout=0)] == [2]


def test_waiting_ends_by_a_record_or_the_time_out(rings):
    perf, started = rings.maps.perf, time.monotonic()
    assert list(perf.events(timeout=0.2)) == [] and time.monotonic() - started < 5
    with beside(lambda: rings.progs.produce_perf.test_run(PACKET), after=0.2):
        assert next(perf.events(timeout=30)).number == 0
    assert time.monotonic() - started < 20


def test_the_size_is_set_before_load(rings_skel, kernel):
    with rings_skel.Rings.open() as rings:
        rings.maps.perf.size = 2 * PAGESIZE
        for size in (0, 5000, PAGESIZE // 2, 3 * PAGESIZE):
            with pytest.raises(bpfloader.MapError, match="power of two"):
                rings.maps.perf.size = size
        rings.load()
        on_cpu(online_cpus()[0], lambda: rings.progs.produce_perf.test_run(PACKET, repeat=PAGESIZE // 4))
        assert 100 < len(rings.maps.perf.batch(timeout=0)) <= 2 * PAGESIZE // 48
        with pytest.raises(bpfloader.StateError, match="after load"):
            rings.maps.perf.size = 2 * PAGESIZE


@pytest.mark.parametrize(
    "possible, offline, cpus",
    [("0", "", [0]), ("0-3,8", "", [0, 1, 2, 3, 8]), ("0-7", "1,4-5", [0, 2, 3, 6, 7]), ("0-3", "2-3,64-127", [0, 1])],
)
def test_online_cpus_are_those_that_are_possible_and_not_offline(possible, offline, cpus, tmp_path):
    for name, text in {"possible": possible, "offline": offline, "online": "0"}.items():
        (tmp_path / name).write_text(f"{text}\n")
    assert online_cpus(str(tmp_path)) == cpus


def test_without_sysfs_all_cpus_are_online_and_not_this_process_s_alone(tmp_path):
    everywhere, mine = online_cpus(), os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(mine)})
    try:
        assert online_cpus(str(tmp_path / "none")) == everywhere
    finally:
        os.sched_setaffinity(0, mine)


def test_in_a_container_of_fewer_cpus_records_of_all_are_read(rings_skel, with_mount, tmp_path):
    """lxcfs lists a container's share, from 0 on (lxc/lxcfs #731); what programs send on the other CPUs was lost."""
    cpus = online_cpus()
    if len(cpus) < 2:
        pytest.skip("this machine has one CPU")

    def read():
        (tmp_path / "online").write_text("0\n")
        source, target = os.fsencode(tmp_path / "online"), b"/sys/devices/system/cpu/online"
        if ctypes.CDLL(None).mount(source, target, None, ctypes.c_ulong(MS_BIND), None):
            pytest.skip("no file can be mounted there")
        with rings_skel.Rings.open() as rings:
            rings.load()
            rings.maps.perf.poll(0)
            for cpu in cpus:
                on_cpu(cpu, lambda: rings.progs.produce_perf.test_run(PACKET, repeat=10))
            return len(rings.maps.perf.batch())

    assert with_mount("tmpfs", str(tmp_path), read) == 10 * len(cpus)


def sample(data: bytes) -> bytes:
    """A PERF_RECORD_SAMPLE as perf_output_sample writes it (kernel/events/core.c)."""
    raw = (4 + len(data) + 7) // 8 * 8
    return struct.pack("=IHHI", PERF_RECORD_SAMPLE, 1, 8 + raw, raw - 4) + data.ljust(raw - 4, b"\0")


def lost(number: int) -> bytes:
    return struct.pack("=IHHQQ", PERF_RECORD_LOST, 0, 24, 7, number)


kinds = st.sampled_from(["pair", "run", "long", "lost", "other"])


@given(st.lists(kinds, max_size=30), st.integers(1, 40))
def test_written_records_are_read(script, limit):
    written, expected, missing = b"", [], 0
    for number, kind in enumerate(script):
        pair = Pair(number, 7)
        if kind in ("pair", "run", "long"):
            times = 5 if kind == "run" else 1
            written += sample(pair.to_bytes() + (b"more" * 5 if kind == "long" else b"")) * times
            expected += [pair] * times
        elif kind == "lost":
            written, missing = written + lost(number), missing + number
        else:
            written += struct.pack("=IHHQ", 77, 0, 16, 0)
    decoder, found, counted = RecordDecoder(Pair.codec, SAMPLE_HEADER_SIZE, sample_stride(12)), [], 0
    while written:
        part = samples(decoder, written, limit)
        assert part.used and len(part.values) == part.number <= limit
        found, counted, written = found + part.values, counted + part.lost, written[part.used :]
    assert (found, counted) == (expected, missing)


@settings(max_examples=300)
@given(st.binary(max_size=200), st.sampled_from([RecordDecoder, BytesDecoder]))
def test_any_data_give_records_or_an_error(data, kind):
    try:
        found = samples(kind(Pair.codec, SAMPLE_HEADER_SIZE, sample_stride(12)), data, 100)
    except (bpfloader.MapError, bpfloader.RecordError):
        return
    assert found.used <= len(data)
