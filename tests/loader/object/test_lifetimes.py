"""Objects end while threads, children of fork or the interpreter use them; and nothing is left afterwards."""

import gc
import os
import signal
import sys
import threading
import time

import bpfloader
import pytest
from probing import hits_of, run_python
from ring_records import PACKET


def test_many_lives_leave_nothing(skel, kernel):
    """benchmarks/leaks.py does the same ten thousand times."""

    def live():
        with skel.Probe.open() as probe:
            probe.select(["emit", "fill", "on_enter"])
            probe.load()
            probe.attach()
            probe.progs.emit.test_run(PACKET)
            assert len(list(probe.maps.events.events(timeout=0))) == 1 and not probe.maps.events.poll(0)
            probe.progs.fill.test_run(PACKET)
            assert len(dict(probe.maps.table)) == 1

    def held():
        gc.collect()
        living = sum(isinstance(each, bpfloader.Object) for each in gc.get_objects())
        return len(os.listdir("/proc/self/fd")), threading.active_count(), living

    for _ in range(20):
        live()
    before, blocks = held(), sys.getallocatedblocks()
    for _ in range(100):
        live()
    assert held() == before
    assert sys.getallocatedblocks() - blocks < 1000  # ten for each life would be a leak


def users(rings):
    """Returns the operations that threads repeat on the rings' object."""
    maps, rows = rings.maps, []
    return {
        "events": lambda: rows.extend(maps.ring.events(timeout=0.001)),
        "batch": lambda: maps.ring.batch(timeout=0.001),
        "tuples": lambda: maps.ring.tuples(timeout=0.001, limit=10),
        "consume": lambda: maps.ring.consume(lambda record: None),
        "perf": lambda: maps.perf.batch(timeout=0.001),
        "wait": lambda: maps.mixed.poll(10),
        "several": lambda: list(bpfloader.events([maps.ring, maps.perf], timeout=0.001)),
        "submit": lambda: maps.commands.submit(rings_command(rings)),
        "map": lambda: (dict(maps.small_lost.items()), maps.small_lost[0]),
        "section": lambda: rings.bss.next_number,
        "run": lambda: (rings.progs.produce.test_run(PACKET, repeat=100), rings.progs.produce_perf.test_run(PACKET)),
        "drain": lambda: rings.progs.drain_now.test_run(PACKET),
        "facts": lambda: (
            maps.ring.available,
            maps.ring.lost,
            maps.perf.lost,
            maps.commands.free,
            maps.ring.max_entries,
        ),
        "attach": lambda: attach_nothing(rings),
    }


def attach_nothing(rings):
    with pytest.raises(bpfloader.AttachError, match="nothing was attached"):  # they are all for interfaces
        rings.attach()


def rings_command(rings):
    return sys.modules[type(rings).__module__].Command(1, 2)


@pytest.mark.parametrize("number", range(8))
def test_an_object_is_destroyed_while_threads_use_it(rings_skel, kernel, number):
    unexpected, ended = [], []

    def use(name, action):
        while True:
            try:
                action()
            except bpfloader.StateError:
                ended.append(name)
                return
            except bpfloader.MapError as error:
                if "is full" not in error.what:
                    unexpected.append((name, error))
                    return
            except BaseException as error:
                unexpected.append((name, error))
                return

    rings = rings_skel.Rings.open()
    rings.load()
    actions = users(rings)
    threads = [threading.Thread(target=use, args=item, daemon=True) for item in actions.items()]
    for thread in threads:
        thread.start()
    time.sleep(0.02 * number)
    rings.destroy()
    for thread in threads:
        thread.join(30)
    assert unexpected == [] and sorted(ended) == sorted(actions)


def test_threads_that_destroy_at_once_do_it_once(rings_skel, kernel):
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(10):
        rings = rings_skel.Rings.open()
        rings.load()
        rings.maps.ring.poll(0)
        threads = [threading.Thread(target=rings.destroy) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(os.listdir("/proc/self/fd")) == before


# Python 3.12 warns of a fork beside threads: just that is tested here, and xdist's workers have some.
@pytest.mark.parametrize("end", ["leaves", "destroys", "is killed", "collects"])
def test_a_child_uses_the_maps_and_its_end_leaves_the_parents_links(opened, skel, end):
    opened.rodata.target_pid = os.getpid()
    opened.load()
    opened.attach()
    opened.maps.events.poll(0)
    assert hits_of(opened) == 10
    child = os.fork()
    if not child:
        status = 1
        try:
            opened.maps.table[skel.Key(id=1)] = skel.Value(count=5)
            opened.progs.emit.test_run(PACKET)
            assert len(opened.links) == 0 and len(list(opened.maps.events.events(timeout=0))) == 1
            if end == "destroys":
                opened.destroy()
            elif end == "is killed":
                os.kill(os.getpid(), signal.SIGKILL)
            elif end == "collects":
                opened.__dict__.clear()
                gc.collect()
            status = 0
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == (signal.SIGKILL if end == "is killed" else 0)
    assert hits_of(opened) == 10 and opened.maps.table[skel.Key(id=1)].count == 5
    opened.progs.emit.test_run(PACKET)
    assert len(list(opened.maps.events.events(timeout=0))) == 1


def locks_of(thing, seen=None) -> list:
    """The locks of one of the loader's objects and of all that it has, however deep."""
    seen = {} if seen is None else seen
    if id(thing) in seen:
        return []
    seen[id(thing)] = thing  # keeps it alive, so that no other thing gets its id
    if isinstance(thing, type(threading.RLock())):
        return [thing]
    if isinstance(thing, dict):
        parts = list(thing.values())
    elif isinstance(thing, (list, tuple)):
        parts = list(thing)
    else:
        parts = list(vars(thing).values()) if type(thing).__module__.partition(".")[0] == "bpfloader" else []
        parts += [part for part in thing.parts] if hasattr(thing, "parts") else []
    return [lock for part in parts for lock in locks_of(part, seen)]


def fork_while_locked(things, use) -> int:
    """Forks while another thread holds every lock of these things; returns the status of a child that calls `use`."""
    held, done = threading.Event(), threading.Event()

    def hold():
        locks = locks_of(things)
        for lock in locks:
            lock.acquire()
        held.set()
        done.wait()
        for lock in locks:
            lock.release()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    child = os.fork()
    if not child:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(60)  # what waits for a lock that nobody gives back
        status = 1
        try:
            use()
            status = 0
        finally:
            os._exit(status)
    done.set()
    thread.join()
    return os.waitpid(child, 0)[1]


def test_a_child_waits_for_no_lock_of_a_thread_that_it_lacks(rings, rings_skel):
    maps = rings.maps
    maps.commands.submit(rings_skel.Command(1, 1))
    rings.progs.produce.test_run(PACKET)
    maps.ring.poll(0), maps.perf.poll(0)
    held = maps.commands.reserve()

    def use():
        maps.commands.submit(rings_skel.Command(1, 2))
        held.discard()
        assert maps.commands.free < maps.commands.size and rings.progs.drain_now.test_run(PACKET).value == 2
        maps.ring.batch(timeout=0), maps.perf.batch(timeout=0)
        rings.destroy()

    assert len(locks_of([rings])) > 4
    assert fork_while_locked([rings], use) == 0


def test_a_child_uses_maps_that_are_in_no_object(using):
    bpf = using("outer_by_name")
    inner = bpf.maps.outer_by_name.create()
    assert locks_of([inner])
    assert fork_while_locked([inner, bpf], lambda: (len(inner), inner._owner.close())) == 0


ENDS = {
    "daemons": """
        for target in (probe.maps.events.poll, lambda: list(probe.maps.events), lambda: [dict(probe.maps.table) for _ in forever],
                       lambda: [probe.progs.emit.test_run(bytes(64)) for _ in forever], lambda: [probe.bss.hits for _ in forever]):
            threading.Thread(target=target, daemon=True).start()
        time.sleep(0.05)""",
    "cycle": """
        probe.itself = [probe]
        probe.maps.events.open_ring_buffer(lambda *_: probe)
        del probe""",
    "atexit": """
        atexit.register(lambda: print(len(list(probe.maps.events.events(timeout=0)))))
        probe.progs.emit.test_run(bytes(64))""",
    "destroyed at exit": "atexit.register(probe.destroy)",
    "generator": """
        def follow():
            with probe:
                yield from probe.maps.events
        followed = follow()
        probe.progs.emit.test_run(bytes(64))
        next(followed)""",
    "error": "raise ZeroDivisionError",
    "with links and pools": """
        import concurrent.futures
        pool = concurrent.futures.ThreadPoolExecutor(2)
        pool.submit(probe.maps.events.poll, 0.05)""",
}  # fmt: skip


@pytest.mark.parametrize("end", ENDS)
def test_the_interpreter_ends_well(folder, kernel, end):
    import textwrap

    code = """
        import atexit, itertools, threading, time
        import probe_skel
        forever = itertools.count()
        probe = probe_skel.Probe.open()
        probe.load()
        probe.attach()
        probe.maps.events.poll(0)
    """
    done = run_python(folder, textwrap.dedent(code) + textwrap.dedent(ENDS[end]))
    if end == "error":
        assert done.returncode == 1 and done.stderr.endswith("ZeroDivisionError\n") and "ignored" not in done.stderr
    else:
        assert (done.returncode, done.stdout, done.stderr) == (0, "1\n" if end == "atexit" else "", "")
