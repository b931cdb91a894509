"""Measures the loader beside its targets: draining a ring, pacing, start-up, maps, all in one run.

    .venv/bin/python benchmarks/loader.py [runs]

Needs root, libbpf.so.1 and the compiler's wheel; bpftool for one of the lines, numpy for another. The tracker is
compiled without its fentry programs, which not every kernel takes, and bpftool loads all or none. Medians, of fresh
processes minima; rates count the thread's CPU time, so that other work on the machine disturbs them less, and the wall
time stands beside it. No test: a busy machine is no bug.
"""

import ctypes
import gc
import importlib
import os
import platform
import resource
import shutil
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from itertools import chain
from pathlib import Path

from build import ROOT
from programs import PACKET, Inputs  # finds the loader for the next line

from bpfloader.libbpf.structs import TestRunOptions, sized

EVENT = struct.Struct("=QII16s")
PACES = (100_000, 100), (50_000, 100), (50_000, 1)  # events a second, and how many come in a burst
SECONDS, TICK = 5, 0.001  # for how long, and the shortest time between bursts
ENTRIES = 10_000
START = """
import sys, time
sys.path[:0] = {paths!r}
import socket_tracker_skel
clocks = time.perf_counter, time.process_time
before = [clock() for clock in clocks]
skel = socket_tracker_skel.SocketTracker.open()
skel.load()
skel.progs.state_tp_btf.attach()
print(*(1000 * (clock() - start) for clock, start in zip(clocks, before)))
"""


def cost(step):
    """Runs a step after a garbage collection; returns its result, its CPU (this thread's) and its wall seconds."""
    gc.collect()
    wall, cpu = time.perf_counter(), time.thread_time()
    result = step()
    return result, time.thread_time() - cpu, time.perf_counter() - wall


def row(name, value, unit, good, target):
    """Prints one figure beside its target."""
    print(f"  {name:44} {value:9.2f} {unit:8} {'' if good is None else 'yes' if good else 'NO':4} {target}")


class Polled:
    """ring_buffer__poll of libbpf with a ctypes callback that decodes each event, as one writes without a loader."""

    def __init__(self, fd):
        self.rows, unpack = [], EVENT.unpack
        callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)

        def take(_context, data, size):
            self.rows.append(unpack(ctypes.string_at(data, size)))
            return 0

        self.libbpf, self.callback = ctypes.CDLL("libbpf.so.1"), callback(take)
        self.libbpf.ring_buffer__new.restype = ctypes.c_void_p
        self.ring = ctypes.c_void_p(self.libbpf.ring_buffer__new(fd, self.callback, None, None))

    def drain(self):
        """Returns the events of one poll."""
        self.rows.clear()
        self.libbpf.ring_buffer__poll(self.ring, 0)
        return self.rows

    def events(self):
        """Yields events as they come, until none has come for a second."""
        last = time.monotonic()
        while time.monotonic() < last + 1:
            if self.libbpf.ring_buffer__poll(self.ring, 1000) > 0:
                last = time.monotonic()
            yield from self.rows
            self.rows.clear()


def drains(skel, runs):
    """Measures each way to read a full ring of 32-byte events."""
    ring = skel.maps.events
    ways = {
        "tuples()": (lambda: ring.tuples(timeout=0), 5),
        "batch()": (lambda: ring.batch(timeout=0), 1.5),
        "for event in events()": (lambda: list(ring.events(timeout=0)), 1.5),
        "consume(callback)": (lambda: [None] * ring.consume(lambda event: None), None),
        "batch(numpy=True)": (lambda: ring.batch(timeout=0, numpy=True), 25),
        "ring_buffer__poll, ctypes callback": (Polled(ring.fd).drain, None),
    }
    if not importlib.util.find_spec("numpy"):
        del ways["batch(numpy=True)"]
    rates = {name: [] for name in ways}
    for number in range(runs + 1):  # the first one warms up
        for name, (drain, _) in ways.items():
            skel.progs.produce.test_run(PACKET, repeat=ring.size // (EVENT.size + 8))
            found, cpu, wall = cost(drain)
            count = len(found)
            found.clear() if isinstance(found, list) else None
            if number:
                rates[name].append((count / cpu / 1e6, count / wall / 1e6))
    median = {name: [statistics.median(column) for column in zip(*values)] for name, values in rates.items()}
    print(f"\ndraining {count} events of 32 bytes; millions a second of CPU time (of wall time)")
    for name, (_, target) in ways.items():
        cpu, wall = median[name]
        row(f"{name}  ({wall:.2f})", cpu, "M/s", target and cpu >= target, f"at least {target}" if target else "")
    ratio = median["tuples()"][0] / median["ring_buffer__poll, ctypes callback"][0]
    row("tuples() / the ctypes callback", ratio, "x", ratio >= 4, "at least 4")


def paced(skel, pace, burst):
    """Measures following a producer in another process: two ways of the loader's beside the ctypes callback."""
    ring, lost, shares = skel.maps.events, skel.bss.events_lost, {}
    followers = {
        "events()": lambda: ring.events(timeout=1),
        "tuples(timeout=1)": lambda: chain.from_iterable(iter(lambda: ring.tuples(timeout=1), [])),
        "the ctypes callback": Polled(ring.fd).events,
    }
    for name, follow in followers.items():
        rate, shares[name] = followed(skel, pace, burst, follow)
        row(f"{rate / 1000:.0f} k/s in bursts of {burst}, {name}: of a core", 100 * shares[name], "%", None, "")
    missing = skel.bss.events_lost - lost
    row("  events lost", missing, "", missing == 0, "none")
    callback = shares.pop("the ctypes callback")
    for name, share in shares.items():
        row(f"  {name} / the ctypes callback", share / callback, "x", share / callback <= 1 / 3, "at most 0.33")


def followed(skel, pace, burst, follow):
    """Returns the events a second that a reader got, and its share of a core; the producer has another core.

    Both run before all other work on the machine, since a reader that has to wait for its core is woken less often.
    """
    skel.maps.events.batch(timeout=0)
    cpus = sorted(os.sched_getaffinity(0))
    os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    child = os.fork()
    if not child:
        os.sched_setaffinity(0, {cpus[-1]})
        produce(skel, pace, burst)
        os._exit(0)
    os.sched_setaffinity(0, {cpus[0]})
    count, started, cpu = 0, time.perf_counter(), time.process_time()
    for _ in follow():
        count += 1
    seconds = time.perf_counter() - started - 1  # without the second in which nothing came
    share = (time.process_time() - cpu) / seconds
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    os.waitpid(child, 0)
    os.sched_setaffinity(0, cpus)
    return count / seconds, share


def produce(skel, pace, burst):
    """Produces `pace` events a second for SECONDS seconds, `burst` at a time, or as many as there are single calls."""
    run = sized(TestRunOptions, repeat=burst, data_in=PACKET, data_size_in=len(PACKET))
    call, fd, start = ctypes.CDLL("libbpf.so.1").bpf_prog_test_run_opts, skel.progs.produce.fd, time.perf_counter()
    run = ctypes.byref(run)
    for number in range(SECONDS * pace // burst):
        while (late := start + number * burst / pace - time.perf_counter()) > 0:
            if burst > 10:
                time.sleep(TICK / 10)
        if late < -SECONDS:
            break
        call(fd, run)


def maps(skel, runs):
    """Measures reading a hash one by one and by batches."""
    table, seconds = skel.maps.counters, {"each": [], "batch": []}
    for number in range(ENTRIES):
        table[number] = number
    for _ in range(runs):
        for name, step in {
            "each": lambda: {key: table[key] for key in range(ENTRIES)},
            "batch": lambda: dict(table.items()),
        }.items():
            found, cpu, _ = cost(step)
            assert len(found) == ENTRIES
            seconds[name].append(cpu)
    each, batch = (statistics.median(values) / ENTRIES * 1e9 for values in seconds.values())
    print(f"\na hash of {ENTRIES} entries, CPU nanoseconds an entry")
    row("table[key] for each key", each, "ns", None, "")
    row("dict(table.items()), by batches", batch, "ns", None, "")
    row("one by one / by batches", each / batch, "x", each / batch >= 10, "at least 10")


def process(command):
    """Runs a fresh process; returns its wall and CPU milliseconds, and what it printed."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    wall, used = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime
    return (wall * 1000, cpu * 1000), done.stdout


def starts(scratch, runs):
    """Measures an import, and open, load and attach beside bpftool's load of the same programs, in fresh processes.

    bpftool's own start counts as its; Python's start and imports don't count as the loader's, who is timed within.
    """
    code = START.format(paths=[str(scratch), str(ROOT / "loader")])
    bpftool, pins = shutil.which("bpftool", path=os.environ.get("PATH", "") + ":/usr/sbin"), scratch / "pins"
    spent = {"pass": [], "import": [], "load": [], "bpftool": []}
    pins.mkdir()
    subprocess.run(["mount", "-t", "bpf", "bpf", pins], check=True)
    try:
        for number in range(4 * runs + 1):  # the first one warms up, and writes the bytecode
            times = {"pass": process([sys.executable, "-c", "pass"])[0]}
            times["import"] = process([sys.executable, "-c", code.partition("clocks")[0]])[0]
            times["load"] = map(float, process([sys.executable, "-c", code])[1].split())
            if bpftool:
                command = [bpftool, "prog", "loadall", scratch / "socket_tracker.bpf.o", pins / "tracker"]
                times["bpftool"] = process(command)[0]
                shutil.rmtree(pins / "tracker")
            for name, value in times.items():
                spent[name] += [value] * (number > 0)
    finally:
        subprocess.run(["umount", pins], check=True)
    least = {name: [min(column) for column in zip(*values)] for name, values in spent.items()}
    print(f"\nfresh processes in turns, milliseconds of CPU time (of wall time), minima of {4 * runs}")
    wall, cpu = (value - base for value, base in zip(least["import"], least["pass"]))
    row(f"import of loader and skeleton, beyond pass  ({wall:.1f})", cpu, "ms", cpu < 40, "under 40")
    wall, cpu = least["load"]
    row(f"open, load, attach of the tracker  ({wall:.1f})", cpu, "ms", None, "")
    if bpftool:
        tool_wall, tool = least["bpftool"]
        row(f"bpftool prog loadall of the same  ({tool_wall:.1f})", tool, "ms", None, "")
        row("the loader / bpftool", cpu / tool, "x", cpu / tool <= 1.05, "at most 1.05")


def main(runs=9):
    """Prints the tables."""
    if os.geteuid():
        sys.exit("loading BPF programs needs root")
    print(
        f"medians of {runs} runs, Python {platform.python_version()}, Linux {platform.release()}, {os.cpu_count()} CPUs"
    )
    with tempfile.TemporaryDirectory() as scratch:
        inputs = Inputs(Path(scratch))
        starts(inputs.scratch, runs)
        with importlib.import_module("events_skel").Events.open() as skel:
            skel.load()
            drains(skel, runs)
            maps(skel, runs)
            print(f"\nevents that come for {SECONDS} s, read one by one")
            for pace, burst in PACES:
                paced(skel, pace, burst)


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    main(*map(int, sys.argv[1:]))
