"""Looks for leaks of objects that are opened, loaded, attached, read and closed, again and again.

    .venv/bin/python benchmarks/leaks.py [cycles]

Needs root, libbpf.so.1 and the compiler's wheel. Each cycle opens a skeleton, loads it, attaches a program, reads a
ring buffer, a perf buffer and a map, waits for a record, and destroys it; every tenth one forks a child that uses the
maps, and is a daemon that restarts: it pins all, takes it over again, opens maps, program and link by their pins and
ids, counts runs, and lists what the system has. Prints descriptors, threads, memory (of this process and of its kernel objects) as they were after a hundred
cycles and at the end.
"""

import gc
import importlib
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from programs import PACKET, Inputs  # finds the loader for the next line

import bpfloader

WARM = 100  # cycles until caches, arenas and Python's own memory have their size


def cycle(kind, fork):
    """Runs one object from open to destroy."""
    with kind.open() as skel:
        skel.maps.counters.max_entries = 16
        skel.maps.events.max_entries = 4096
        skel.load()
        skel.attach()
        skel.progs.produce.test_run(PACKET, repeat=3)
        assert len(list(skel.maps.events.events(timeout=0))) == 3 and not skel.maps.events.poll(0.00001)
        assert skel.maps.samples.raw() == [] and not skel.maps.samples.poll(0)
        skel.maps.counters[1] = 2
        assert dict(skel.maps.counters) == {1: 2} and skel.bss.number >= 3
        if fork and not os.fork():
            os._exit(skel.maps.counters[1] != 2)
        if fork:
            assert os.wait()[1] == 0
        assert skel.links.on_exec.attached


def restart(kind, folder):
    """Runs a daemon that pins all and starts again, and what others do with its pins; removes them at the end."""
    for takeover in ("attached", "kept"):
        with kind.attach(pin=folder) as skel:
            assert [link.takeover for link in skel.links] == [takeover]
            with bpfloader.open_map(f"{folder}/maps/counters") as counters, kind.maps.events.open(skel.maps.events.id) as ring:
                counters[1] = 2
                skel.progs.produce.test_run(PACKET, repeat=3)
                assert skel.maps.counters[1] == 2 and len(ring.batch()) == 3
            with bpfloader.open_program(skel.progs.on_exec.info.id) as program, bpfloader.run_statistics():
                assert program.info.tag == skel.progs.on_exec.info.tag
    with bpfloader.open_link(f"{folder}/links/on_exec") as link:
        assert link.id in {each.id for each in bpfloader.links()}
    assert bpfloader.programs() and bpfloader.maps()
    shutil.rmtree(folder)


def state(kind):
    """Counts what this process and the kernel hold now: name -> number."""
    gc.collect()
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    links = [link for link in os.listdir("/proc/self/fd") if "bpf" in target(link)]
    return {
        "descriptors": len(os.listdir("/proc/self/fd")), "of those BPF's": len(links),
        "threads": threading.active_count(), "mappings": len(Path("/proc/self/maps").read_text().splitlines()),
        "RSS, KiB": int(status["VmRSS"].split()[0]), "Python's blocks": sys.getallocatedblocks(),
        "living objects": sum(isinstance(each, kind) for each in gc.get_objects()),
    }  # fmt: skip


def target(descriptor):
    """Returns the target of a descriptor's link; empty for one that has gone."""
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}")
    except OSError:  # the one that listed the folder
        return ""


def main(cycles=10_000):
    """Prints the table."""
    if os.geteuid():
        sys.exit("loading BPF programs needs root")
    with tempfile.TemporaryDirectory() as scratch:
        Inputs(Path(scratch))
        kind, pins = importlib.import_module("events_skel").Events, Path(scratch, "pins")
        pins.mkdir()
        subprocess.run(["mount", "-t", "bpf", "bpf", pins], check=True)
        try:
            for _ in range(WARM):
                cycle(kind, True)
                restart(kind, f"{pins}/leaks")
            before, started = state(kind), time.perf_counter()
            for number in range(cycles):
                cycle(kind, number % 10 == 0)
                if number % 10 == 0:
                    restart(kind, f"{pins}/leaks")
            elapsed, after = time.perf_counter() - started, state(kind)
        finally:
            subprocess.run(["umount", pins], check=True)
    print(f"{cycles} cycles, {elapsed / cycles * 1000:.1f} ms each")
    print(f"{'':18} {'before':>12} {'after':>12}")
    for name, value in before.items():
        print(f"{name:18} {value:12} {after[name]:12}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
