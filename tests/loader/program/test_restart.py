"""A daemon that starts again finds its pinned links and maps: kept, updated or replaced, and no event is lost."""

import contextlib
import ctypes
import inspect
import json
import os
import shutil
import signal
import socket
import sys
import time
import warnings
from collections import Counter
from itertools import groupby
from types import SimpleNamespace

import bpfloader
import pytest
from bpfloader.kernel.host import kernel_is_before
from bpfloader.kernel.versions import version_of
from bpfloader.link import folder as folders
from bpfloader.program.takeover import same_program
from compiling import IN_GUEST, compile_text
from interfaces import make_interface

FIRST = 1_000_000 * (1 + os.getpid() % 1000)  # first_number of restart.bpf.c
CALLS = {"on_call": 100, "on_typed_call": 200}  # what marks an event of each program
PACKETS = {"on_xdp": 400, "on_tc": 500, "on_egress": 600}
RESTARTS = 40
long = pytest.mark.skipif(IN_GUEST, reason="an emulated guest takes minutes for forty restarts")
libc = ctypes.CDLL(None)


@pytest.fixture(scope="session")
def restart(skeleton_of):
    return numbered(skeleton_of("restart").Restart)


@pytest.fixture(scope="session")
def next_version(skeleton_of):
    return numbered(skeleton_of("restart_next").RestartNext)


def numbered(skeleton):
    """A skeleton's `open`, of an object that takes this run's numbers."""

    def opened(**options):
        bpf = skeleton.open(**options)
        bpf.rodata.first_number = FIRST
        return bpf

    return SimpleNamespace(open=opened)


@pytest.fixture
def folder(bpffs):
    return str(bpffs / "daemon")


@contextlib.contextmanager
def daemon(kind, folder, programs=("on_call",), version=0):
    """The daemon's object, loaded and attached with its pins; `taken` is how each link was come by."""
    with kind.open() as bpf:
        bpf.select(programs)
        bpf.rodata.version = version
        bpf.attach(pin=folder)
        yield bpf


def taken(bpf) -> dict[str, str]:
    return {link.program: link.takeover for link in bpf.links}


def forked(function) -> int:
    """Calls a function in a child, which ends without any clean-up. Returns its pid."""
    child = os.fork()
    if not child:
        try:
            function()
        except BaseException as error:
            os.write(2, f"{error!r}\n".encode())
        os.kill(os.getpid(), signal.SIGKILL)
    return child


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
def test_forty_restarts_under_calls_lose_none(restart, folder, kernel):
    events, calls, how = run_daemons(lambda version: daemon(restart, folder, (*CALLS,), version), packets=False)
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
def test_forty_restarts_under_packets_lose_none_and_repeat_none(restart, folder, own_network, cgroup):
    @contextlib.contextmanager
    def start(version):
        with restart.open() as bpf:
            bpf.select(PACKETS)
            bpf.rodata.version = version
            bpf.load(pin=folder)
            bpf.progs.on_xdp.attach_pinned(f"{folder}/links/on_xdp", "lo", mode="generic")
            bpf.progs.on_tc.attach_pinned(f"{folder}/links/on_tc", "lo", "ingress")
            bpf.progs.on_egress.attach_pinned(f"{folder}/links/on_egress", cgroup)
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


def test_a_new_version_takes_over_with_its_state(restart, next_version, folder, kernel):
    with daemon(restart, folder) as old:
        old.maps.counts[7] = 70
        libc.syscall(FIRST + 1)
        old.bss.events_lost = 3
    libc.syscall(FIRST + 2)
    with daemon(next_version, folder) as new:
        assert taken(new) == {"on_call": "replaced"} and new.maps.counts[7] == 70
        libc.syscall(FIRST + 3)
        assert [event.number - FIRST for event in new.maps.events.batch()] == [1, 2, 3]
        # Its variables are of another layout: they begin anew, and are pinned in the place of the old ones.
        assert (new.bss.events_lost, new.bss.seen) == (0, 1)
    with daemon(next_version, folder) as again:
        assert taken(again) == {"on_call": "kept"} and again.bss.seen == 1
        assert sorted(os.listdir(f"{folder}/maps")) == ["_bss", "counts", "events"]


@pytest.fixture
def layout(skeleton_of):
    return skeleton_of("layout").Layout


def test_a_class_attaches_by_what_is_pinned(layout, skeleton_of, folder, kernel):
    """As a daemon writes it: one line, the first start and each that follows, of the same version and of another."""
    with layout.attach(pin=folder) as first:
        assert isinstance(first, layout) and taken(first) == {"on_call": "attached"}
        first.maps.hosts[1] = sys.modules[layout.__module__].Traffic(received=1, sent=2)
    child = forked(lambda: layout.attach(pin=folder))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    before = bpfloader.open_map(f"{folder}/maps/_bss")[0].passed
    libc.getppid()
    with layout.attach(pin=folder) as third:
        assert taken(third) == {"on_call": "kept"} and third.bss.passed > before and 1 in third.maps.hosts
    os.unlink(f"{folder}/maps/hosts")
    with skeleton_of("layout_next").LayoutNext.attach(pin=folder) as newer:
        assert taken(newer) == {"on_call": "replaced"}


def test_a_class_attaches_with_the_options_of_open(layout, folder, kernel):
    with layout.attach(pin=folder, programs=["on_call"], kconfig={}) as bpf:
        bpf.links.on_call.detach()
    with pytest.raises(TypeError, match="pin"):
        layout.attach()
    with pytest.raises(TypeError, match="no_such_option"):
        layout.attach(pin=folder, no_such_option=1)
    assert list(inspect.signature(layout.attach).parameters) == ["pin", "programs", "options"]


@pytest.mark.filterwarnings("error::ResourceWarning", "error::pytest.PytestUnraisableExceptionWarning")
def test_a_class_that_can_t_attach_leaves_nothing(layout, tmp_path, kernel):
    before = sorted(os.listdir("/proc/self/fd"))
    with pytest.raises(bpfloader.AttachError, match="is in no BPF file system"):
        layout.attach(pin=tmp_path / "no")
    with pytest.raises(KeyError):
        layout.attach(pin=tmp_path / "no", programs=["no_such"])
    assert sorted(os.listdir("/proc/self/fd")) == before


def test_a_program_is_the_same_by_code_target_maps_and_constants(restart, kernel):
    with restart.open() as one, restart.open() as other, restart.open() as third:
        for each, version in ((one, 1), (other, 1), (third, 2)):
            each.select(["on_call", "on_exit"])
            each.rodata.version = version
        one.load()
        for each in (other, third):
            for shared in ("events", "counts"):
                each.maps[shared].reuse(one.maps[shared])
            each.load()
        assert same_program(one.progs.on_call.fd, one.progs.on_call.fd)
        assert same_program(one.progs.on_exit.fd, other.progs.on_exit.fd)
        # The tag of all three is one, but other.bss is another map, and the constants of the third differ.
        assert not same_program(one.progs.on_call.fd, other.progs.on_call.fd)
        assert not same_program(one.progs.on_call.fd, one.progs.on_exit.fd)


def test_daemons_that_start_at_once_share_one_link(restart, folder, kernel):
    pipe = os.pipe()

    def start():
        with daemon(restart, folder) as bpf:
            (link,) = bpf.links
            os.write(pipe[1], f"{link.takeover} {link.id} {bpf.maps.events.id}\n".encode())

    children = [forked(start) for _ in range(6)]
    for child in children:
        os.waitpid(child, 0)
    os.close(pipe[1])
    with open(pipe[0]) as file:
        how, links, maps = zip(*map(str.split, file))
    assert sorted(how) == ["attached"] + ["kept"] * 5 and len({*links}) == len({*maps}) == 1


def test_what_a_killed_start_left_is_taken_away(restart, folder, kernel, attached):
    with daemon(restart, folder) as bpf:
        link = attached(bpf.progs.on_call.attach)  # before Linux 6.10 a raw tracepoint takes a program once
        link.pin(f"{folder}/links/on_call{folders.NEW}")
    with daemon(restart, folder) as bpf:
        assert os.listdir(f"{folder}/links") == ["on_call"] and taken(bpf) == {"on_call": "kept"}


def test_a_refused_attach_leaves_all_as_it_was(restart, folder, own_network, monkeypatch):
    def run():
        with daemon(restart, folder, ("on_call", "on_xdp")) as old:
            xdp = old.progs.on_xdp.attach_pinned(f"{folder}/links/on_xdp", "lo", mode="generic")
            before = {name: bpfloader.open_link(f"{folder}/links/{name}") for name in ("on_call", "on_xdp")}
            assert xdp.takeover == "attached"
        with restart.open() as new:
            new.select(["on_call", "on_typed_call"])
            new.rodata.version = 5
            monkeypatch.setattr(type(new.progs.on_typed_call), "attach", refuse)
            with pytest.raises(bpfloader.AttachError, match="can't attach on_typed_call"):
                new.attach(pin=folder)
            assert not len(new.links)
        after = {name: bpfloader.open_link(f"{folder}/links/{name}") for name in before}
        for name, link in after.items():
            assert (link.id, link.program_id) == (before[name].id, before[name].program_id)

    def refuse(self, **_):
        raise bpfloader.AttachError("can't attach on_typed_call")

    own_network(run)


def test_an_update_is_taken_back_with_the_rest(restart, folder, own_network):
    def run():
        with daemon(restart, folder, ("on_call", "on_xdp")) as old:
            path = f"{folder}/links/on_xdp"
            old.progs.on_xdp.attach_pinned(path, "lo", mode="generic")
            before = bpfloader.open_link(path).program_id
            with restart.open() as new:
                new.select(["on_xdp"])
                new.load(pin=folder)
                from bpfloader.program.takeover import take_over, taking_over

                program = new.progs.on_xdp
                with pytest.raises(ZeroDivisionError), taking_over(new, f"{folder}/links") as (undo, done):
                    link = take_over(program, path, program._place("lo"), program.attach, undo, done)
                    assert link.takeover == "kept"
                    raise ZeroDivisionError
                new.rodata  # the same version: nothing to take back
            with restart.open() as new:
                new.select(["on_xdp"])
                new.rodata.version = 9
                new.load(pin=folder)
                program = new.progs.on_xdp
                with pytest.raises(ZeroDivisionError), taking_over(new, f"{folder}/links") as (undo, done):
                    link = take_over(program, path, program._place("lo"), program.attach, undo, done)
                    assert link.takeover == "updated" and bpfloader.open_link(path).program_id != before
                    raise ZeroDivisionError
            assert bpfloader.open_link(path).program_id == before

    own_network(run)


def refused(opened, folder, programs=("on_call",)) -> str:
    opened.select(programs)
    with pytest.raises(bpfloader.BpfError) as caught:
        opened.attach(pin=folder)
    assert caught.value.fix
    return str(caught.value)


@pytest.fixture
def opened(restart, kernel):
    with restart.open() as bpf:
        yield bpf


def test_a_folder_of_no_bpf_file_system_is_refused(opened, tmp_path):
    assert "/here is in no BPF file system; mount one: mount -t bpf bpf" in refused(opened, str(tmp_path / "here"))
    assert not (tmp_path / "here").exists()


def test_a_folder_with_a_dot_is_refused(opened, bpffs):
    said = refused(opened, str(bpffs / "execs.d"))
    assert "can't keep pins in" in said and "no name there may hold a dot" in said


@pytest.mark.parametrize("error", [FileNotFoundError, FileExistsError])
def test_a_folder_that_another_process_removes_is_made_again(opened, folder, monkeypatch, error):
    """`rm -r` ends a daemon while the next one starts: makedirs finds the folder's parent or the folder gone."""
    removals = iter([error, error])

    def made(path, mode, exist_ok, really=os.makedirs):
        for each in removals:
            raise each
        really(path, mode, exist_ok)

    monkeypatch.setattr(os, "makedirs", made)
    opened.select(["on_call"])
    assert opened.attach(pin=folder)[0].takeover == "attached"


def test_a_folder_that_is_removed_while_it_is_used_is_told(opened, folder, monkeypatch):
    from bpfloader.object import pins

    monkeypatch.setattr(pins, "_warn_of_others", lambda bpf, links: shutil.rmtree(folder) or os.listdir(links))
    said = refused(opened, folder)
    assert said == f"{folder}/links was removed while pins were kept in it (ENOENT: No such file or directory); start again"


def test_a_pin_in_the_place_of_the_folder_is_refused(opened, restart, folder):
    with restart.open() as other:
        other.select(["on_call"])
        other.load()
        other.maps.counts.pin(folder)
        assert "something is pinned there: give a folder" in refused(opened, folder)


def test_a_pinned_map_of_another_declaration_is_refused(opened, restart, folder):
    with daemon(restart, folder):
        pass
    opened.maps.counts.max_entries = 32
    said = refused(opened, folder)
    assert f"the map counts pinned at {folder}/maps/counts has max_entries 64, the program declares max_entries 32" in said
    assert f"declare it as before, or give its contents up: python -m bpfloader detach --pin {folder}/maps/counts" in said


def test_a_pinned_map_of_equal_size_and_another_layout_is_refused(layout, skeleton_of, folder, kernel):
    """sent and received have changed places: the counts of one would be taken for those of the other."""
    with layout.attach(pin=folder):
        pass
    with layout.attach(pin=folder) as same:
        assert taken(same) == {"on_call": "kept"}
    with pytest.raises(bpfloader.MapError) as caught:
        skeleton_of("layout_next").LayoutNext.attach(pin=folder)
    said = (f"the map hosts pinned at {folder}/maps/hosts has a value with __u64 received at byte 0 where the program has "
            f"__u64 sent at byte 0; declare it as before, or give its contents up: python -m bpfloader detach --pin ")
    assert said in str(caught.value)
    with bpfloader.open_map(f"{folder}/maps/hosts") as hosts:
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


def test_variables_of_another_layout_begin_anew(layout, skeleton_of, folder, kernel):
    with layout.attach(pin=folder) as first:
        libc.getppid()
        passed = first.bss.passed
    os.unlink(f"{folder}/maps/hosts")
    with skeleton_of("layout_next").LayoutNext.open() as second:
        second.load(pin=folder)
        assert passed > 0 and (second.bss.passed, second.bss.dropped) == (0, 0)
    with skeleton_of("layout_next").LayoutNext.open() as third:
        third.bss.dropped = 5
        third.load(pin=folder)
        assert third.bss.dropped == 0  # what is pinned goes on


LONG_NAMES = """#include "mini_bpf.h"
char LICENSE[] SEC("license") = "GPL";
__u64 SEC(".bss.statistics_of_a") a;
__u64 SEC(".bss.statistics_of_b") b;
__u64 SEC(".data.statistics_of_a") c = 1;
__u64 SEC(".data.statistics_of_b") d = 2;
SEC("tc") int count(void *ctx) { a += 1; b += 10; c += 1; d += 10; return 0; }
"""


def test_sections_whose_names_begin_alike_are_pinned_apart(clang, kernel, folder):
    """libbpf has 15 characters of `.bss.statistics_of_a`: two sections shared one pin, and so one map."""
    if version_of(bpfloader.version()) < (1, 1):
        pytest.skip("libbpf 1.0 has no such sections")
    names = [f".{kind}.statistics_of_{letter}" for kind in ("bss", "data") for letter in "ab"]
    seen = []
    for runs in (1, 2):
        with bpfloader.Object.open(compile_text(clang, LONG_NAMES)) as bpf:
            assert sorted(each.name for each in bpf.maps) == names
            bpf.load(pin=folder)
            bpf.progs["count"].test_run(bytes(64))
            seen.append([bpf.maps[name].id for name in names])
            sections = [bpfloader.open_map(number)[0] for number in seen[-1]]
            assert [getattr(each, letter) for each, letter in zip(sections, "abcd")] == [runs, 10 * runs, 1 + runs, 2 + 10 * runs]
    assert sorted(os.listdir(f"{folder}/maps")) == sorted(name.replace(".", "_") for name in names)
    assert seen[0] == seen[1] and len({*seen[0]}) == 4


def test_without_the_right_to_read_btf_sizes_alone_are_compared(layout, skeleton_of, folder, kernel, monkeypatch):
    def denied(_number):
        raise bpfloader.CallError("", errno=1)

    monkeypatch.setattr("bpfloader.object.pinned_types.read_btf", denied)
    with layout.attach(pin=folder):
        pass
    with skeleton_of("layout_next").LayoutNext.attach(pin=folder) as second:
        assert taken(second) == {"on_call": "replaced"}


def test_something_else_at_a_link_s_path_is_refused(opened, restart, folder, own_network):
    def run():
        os.makedirs(f"{folder}/links")
        with restart.open() as other:
            other.select(["on_call", "on_xdp"])
            other.load()
            other.maps.counts.pin(f"{folder}/links/on_call")
            xdp = other.progs.on_xdp.attach("lo", mode="generic")
            xdp.pin(f"{folder}/links/on_typed_call")
            with restart.open() as first:
                assert "is no link, but a map; give the path of a link's pin" in refused(first, folder)
            said = refused(opened, folder, ["on_typed_call"])
            assert "for on_typed_call: it is the xdp link of on_xdp; give another path, or unpin it: python -m" in said

    own_network(run)


def test_links_come_after_their_maps(opened, folder):
    opened.select(["on_call"])
    opened.load()
    with pytest.raises(bpfloader.StateError, match="without the maps pinned in .*; call attach.pin=…. without load"):
        opened.attach(pin=folder)
    assert not os.path.exists(f"{folder}/links")


def test_what_the_kernel_can_t_pin_is_refused(opened, folder, own_network):
    def run():
        opened.select(["on_tc"])
        opened.load(pin=folder)
        with pytest.raises(bpfloader.AttachError, match="can't pin on_tc: the kernel has no link for it"):
            opened.progs.on_tc.attach_pinned(f"{folder}/links/on_tc", "lo", "ingress", priority=1)
        assert not len(opened.links)

    own_network(run)


def test_the_lock_is_waited_for_and_its_end_named(opened, folder, monkeypatch):
    monkeypatch.setattr(folders, "PATIENCE", 0.05)
    with folders.locked(folder):
        assert f"another process has the lock of {folder}" in refused(opened, folder)


def test_a_program_that_the_new_version_lacks_is_named(restart, folder, kernel, attached):
    with daemon(restart, folder) as bpf:
        attached(bpf.progs.on_call.attach).pin(f"{folder}/links/before")
    with pytest.warns(RuntimeWarning, match="links/before is the link of a program that this object doesn't have"):
        with daemon(restart, folder):
            pass
    with warnings.catch_warnings(), restart.open() as bpf:
        warnings.simplefilter("error")
        bpf.select(["on_call"])
        with pytest.raises(RuntimeWarning, match="links/before"):
            bpf.attach(pin=folder)
        assert not len(bpf.links)  # all or nothing, also where a warning is an exception


@pytest.mark.parametrize("where", ["lo", "another"])
def test_another_target_gets_a_link_of_its_own(restart, folder, own_network, where, attached):
    def run():
        path = f"{folder}/links/on_tc"
        with restart.open() as bpf:
            bpf.select(["on_tc"])
            bpf.load(pin=folder)
            first = attached(bpf.progs.on_tc.attach_pinned, path, "lo", "ingress")  # a link since Linux 6.6
            again = bpf.progs.on_tc.attach_pinned(path, "lo", "ingress" if where == "lo" else "egress")
            assert again.takeover == ("kept" if where == "lo" else "replaced")
            assert (first.id == again.id) == (where == "lo")
            first.detach()
            assert bpfloader.open_link(path).id == again.id

    own_network(run)


def test_a_tracepoint_of_tracefs_is_kept(restart, folder, with_mount):
    def run():
        # Before Linux 6.6 a link doesn't say at which tracepoint it is.
        for how in ("attached", "replaced" if kernel_is_before("6.6") else "kept"):
            with daemon(restart, folder, ["on_traced_call"]) as bpf:
                assert taken(bpf) == {"on_traced_call": how}

    try:
        with_mount("tracefs", "/sys/kernel/tracing", run)
    except bpfloader.AttachError as error:
        pytest.skip(error.what)


def test_the_link_of_a_kprobe_is_kept_or_replaced(kinds, kernel, folder, attached):
    path, ids, hits = f"{folder}/links/on_kprobe", [], 0
    told = not kernel_is_before("6.6")  # whether a link says at which function it is
    for expected, pid in (("attached", 0), ("kept" if told else "replaced", 0), ("replaced", os.getpid())):
        with kinds.open() as bpf:
            bpf.select(["on_kprobe"])
            bpf.rodata.target_pid = pid  # a constant: with another one, it is another program
            bpf.load(pin=folder)
            link = attached(bpf.progs.on_kprobe.attach_pinned, path)
            assert link.takeover == expected and bpf.bss.hits >= hits
            ids.append(link.id)
            before = bpf.bss.hits
            libc.getppid()
            hits = bpf.bss.hits
            assert hits > before
    assert (ids[0] == ids[1]) == told and ids[2] != ids[1]
    libc.getppid()
    with bpfloader.open_map(f"{folder}/maps/_bss") as variables, bpfloader.open_link(path) as link:
        assert variables[0].hits == hits + 1 and (link.id, link.program) == (ids[2], "on_kprobe")


def test_the_link_of_a_netkit_is_kept_or_updated(kinds, folder, own_network, attached):
    def run():
        attached(make_interface, "kit0", "netkit")
        path, ids = f"{folder}/links/on_netkit", []
        for name, expected in (("on_netkit", "attached"), ("on_netkit", "kept"), ("on_netkit_too", "updated")):
            with kinds.open() as bpf:
                bpf.select([name])
                attached(bpf.load, pin=folder)
                link = attached(bpf.progs[name].attach_pinned, path, "kit0")
                assert link.takeover == expected
                ids.append(link.id)
        assert len(set(ids)) == 1
        with bpfloader.open_link(path) as link:
            assert link.program == "on_netkit_too"

    own_network(run)


def test_a_map_that_reuse_gave_is_left_where_it_is(restart, folder, kernel):
    with restart.open() as one, restart.open() as other:
        for each in (one, other):
            each.select(["on_call"])
        one.load()
        other.maps.counts.reuse(one.maps.counts)
        other.load(pin=folder)
        assert other.maps.counts.id == one.maps.counts.id
        assert sorted(os.listdir(f"{folder}/maps")) == ["_bss", "events"]


def test_a_table_of_struct_ops_takes_the_place_of_the_one_before(skeleton_of, kernel, folder):
    if version_of(bpfloader.version()) < (1, 2):
        pytest.skip(f"needs libbpf 1.2, this one is {bpfloader.version()}")
    if kernel_is_before("6.4"):
        with skeleton_of("congestion_link").CongestionLink.open() as bpf:
            with pytest.raises(bpfloader.LoadError, match=r'SEC\(".struct_ops.link"\), unlike .* came with Linux 6.4'):
                bpf.load()
        return
    os.mkdir(folder)
    path, ids = f"{folder}/counting", []
    for expected in ("attached", "updated", "updated"):
        with skeleton_of("congestion_link").CongestionLink.open() as bpf:
            bpf.load()
            link = bpf.maps.counting.attach_pinned(path)
            assert link.takeover == expected
            with bpfloader.open_link(path) as pinned:
                ids.append(pinned.id)
    assert len(set(ids)) == 1
    with socket.socket() as client:  # it is still registered
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, b"bpf_counting")
