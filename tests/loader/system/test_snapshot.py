"""What runs now: programs, maps and links with holders, pins and places, as bpftool lists them; statistics of runs."""

import contextlib
import ctypes
import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
import warnings

import bpfloader
import pytest
from bpfloader.__main__ import main
from bpfloader.errors import CallError, PrivilegeError
from bpfloader.features.try_tracing import WideAttr, _pmu_type
from bpfloader.kernel import holders as holders_module
from bpfloader.kernel.attach_type import AttachType
from bpfloader.kernel.bpffs import Pin
from bpfloader.kernel.holders import Process
from bpfloader.kernel.objects import ids
from bpfloader.kernel.perf_event import perf_event_open
from bpfloader.libbpf.library import library
from bpfloader.system.snapshot import SEEN_ONLY, Snapshot
from unprivileged import as_nobody


@pytest.fixture
def attached(loaded):
    """The probe, loaded, with one program attached."""
    with loaded.progs.on_enter.attach():
        yield loaded


def mine(listed, number):
    (found,) = (each for each in listed if getattr(each, "info", each).id == number)
    return found


def test_a_program_with_its_holder_place_maps_and_pin(attached, bpffs):
    program, events = attached.progs.on_enter, attached.maps.events
    program.pin(bpffs / "program")
    events.pin(bpffs / "events")
    found = mine(bpfloader.programs(), program.info.id)
    assert found.info == program.info._replace(run_cnt=found.info.run_cnt, run_time_ns=found.info.run_time_ns)
    assert os.getpid() in [pid for pid, _ in found.holders]
    assert (found.pins, found.attached) == ((str(bpffs / "program"),), ("raw_tp sys_enter",))
    held = mine(bpfloader.maps(), events.id)
    assert held.info == events.info and held.type == "ringbuf" and held.memlock > 4096
    assert (held.pins, os.getpid() in [pid for pid, _ in held.holders]) == ((str(bpffs / "events"),), True)
    assert attached.progs.emit.info.id in held.programs and program.info.id not in held.programs
    (link,) = (each for each in bpfloader.links() if each.program == program.info.id)
    assert (link.type, link.place, link.name) == ("raw_tracepoint", "raw_tp sys_enter", "on_enter")


def test_it_is_what_bpftool_lists(attached):
    bpftool = shutil.which("bpftool") or pytest.skip("bpftool is not installed")

    def listed(kind):
        rows = json.loads(subprocess.run([bpftool, "-j", kind, "show"], capture_output=True, text=True).stdout)
        return {row["id"]: row for row in rows}

    there = Snapshot()
    for kind, ours in (("prog", there.programs), ("map", there.maps)):
        theirs = listed(kind)
        both = [each for each in ours if each.info.id in theirs]
        assert len(both) > 3  # others may come and go meanwhile
        for each in both:
            row = theirs[each.info.id]
            assert row.get("name", "")[:15] == each.info.name[:15] and row.get("bytes_memlock", 0) == (each.info.memlock if kind == "prog" else each.memlock)
    theirs = listed("link")
    assert all(theirs[each.id]["prog_id"] == each.program for each in there.links if each.id in theirs)


def test_runs_are_counted_inside_the_block(attached):
    program = attached.progs.on_enter
    if open("/proc/sys/kernel/bpf_stats_enabled").read().strip() != "0":
        pytest.skip("somebody has switched statistics on for all")
    before = program.info
    with bpfloader.run_statistics():
        deadline = time.monotonic() + 10
        while program.info.run_cnt < before.run_cnt + 10 and time.monotonic() < deadline:
            os.getppid()
    within = program.info
    assert within.run_cnt >= before.run_cnt + 10 and within.run_time_ns > before.run_time_ns
    assert within.recursion_misses >= 0


def test_blocks_may_overlap_and_a_child_of_fork_prolongs_none(attached):
    def counts() -> bool:
        before = attached.progs.on_enter.info.run_cnt
        os.getppid()
        return attached.progs.on_enter.info.run_cnt > before

    def switches() -> int:
        """The descriptors that keep statistics on: any process of the machine may, so the counts don't tell."""
        links = (f"/proc/self/fd/{name}" for name in os.listdir("/proc/self/fd"))
        return sum(os.path.lexists(link) and os.readlink(link) == "anon_inode:bpf-stats" for link in links)

    with bpfloader.run_statistics():
        with bpfloader.run_statistics():
            assert counts() and switches() == 2
        assert counts() and switches() == 1
        if not (child := os.fork()):
            os._exit(switches())
        assert os.waitpid(child, 0)[1] == 0 and counts() and switches() == 1
    assert switches() == 0


def test_who_may_not_count_is_told(kernel):
    with as_nobody(), pytest.raises(PrivilegeError, match=r"can't have runs counted \(EPERM.*; run with CAP_SYS_ADMIN"):
        with bpfloader.run_statistics():
            pass


def test_a_kernel_without_statistics_is_told(monkeypatch, kernel):
    def refuse(_):
        raise CallError("bpf_enable_stats failed", errno=22)

    monkeypatch.setattr(library(), "bpf_enable_stats", refuse)
    with pytest.raises(CallError, match=r"can't have runs counted \(EINVAL.*; switch it on for all: sysctl kernel.bpf_stats"):
        with bpfloader.run_statistics():
            pass


def test_without_privileges_there_is_what_can_be_seen_and_one_line(attached):
    number = attached.progs.on_enter.info.id
    with as_nobody(), pytest.warns(RuntimeWarning) as caught:
        found = mine(bpfloader.programs(), number)
    assert found.info.name == "on_enter" and found.holders  # its own descriptor tells
    (warning,) = caught
    assert str(warning.message).startswith("can't list the programs of the system (EPERM") and SEEN_ONLY in str(warning.message)


def test_without_privileges_fdinfo_tells_of_others(attached, monkeypatch):
    """As of another process, whose descriptors can't be opened."""
    program, events = attached.progs.on_enter, attached.maps.events
    snapshot = Snapshot()
    snapshot.note = "as without privileges"
    monkeypatch.setattr(Snapshot, "_descriptors_of", lambda *_: iter(()))
    found, told = mine(snapshot.programs, program.info.id).info, program.info
    assert (found.name, found.type, found.tag, found.memlock) == ("", told.type, told.tag, told.memlock)
    assert found.verified_insns == told.verified_insns
    held = mine(snapshot.maps, events.id)
    assert held.info == events.info._replace(name="", btf_id=0, btf_key_type_id=0, btf_value_type_id=0)
    assert [each.program for each in snapshot.links if each.program == program.info.id] == [program.info.id]


def test_what_goes_meanwhile_is_left_out(attached, monkeypatch):
    gone = attached.progs.emit.info.id
    real = library().bpf_prog_get_fd_by_id

    def open_it(number):
        if number == gone:
            raise CallError("gone", errno=2)
        return real(number)

    monkeypatch.setattr(library(), "bpf_prog_get_fd_by_id", open_it)
    listed = [each.info.id for each in bpfloader.programs()]
    assert gone in ids("prog") and gone not in listed and attached.progs.on_enter.info.id in listed


def test_no_descriptor_is_left(attached):
    before = os.listdir("/proc/self/fd")
    for _ in range(3):
        _ = Snapshot().links, bpfloader.maps()
        with bpfloader.run_statistics():
            pass
    with as_nobody(), warnings.catch_warnings(action="ignore") if sys.version_info >= (3, 11) else contextlib.nullcontext():
        bpfloader.links()
    assert os.listdir("/proc/self/fd") == before


def ps(capsys, *arguments):
    status = main(["ps", *arguments])
    said = capsys.readouterr()
    return status, said.out + said.err


def test_the_tables_and_the_json(attached, capsys):
    number = str(attached.progs.on_enter.info.id)
    status, said = ps(capsys)
    (row,) = (line.split() for line in said.partition("Maps")[0].splitlines() if line.split()[:1] == [number])
    assert status == 0 and row[1:3] == ["raw_tracepoint", "on_enter"] and f"({os.getpid()})" in row
    assert [line for line in said.splitlines() if line and line[0] != " "] == ["Programs", "Maps", "Links"]
    told = json.loads(ps(capsys, "--json")[1])
    (program,) = (each for each in told["programs"] if str(each["id"]) == number)
    assert program["attached"] == ["raw_tp sys_enter"] and program["holders"][0].keys() == {"pid", "name"}
    assert {"type", "max_entries", "memlock", "pins", "programs"} <= told["maps"][0].keys()
    assert {"id", "type", "program", "place", "name"} <= told["links"][0].keys() and told["note"] == ""


def test_programs_that_ran_come_first(attached, capsys):
    status, said = ps(capsys, "--seconds", "0.2")
    heads, *rows = said.partition("Maps")[0].splitlines()[1:]
    assert status == 0 and heads.split()[5:10] == ["runs/s", "ns", "each", "%", "CPU"]
    spent = [float(row.split()[7]) for row in rows if row.strip()]
    assert spent == sorted(spent, reverse=True) and spent[0] > 0
    told = json.loads(ps(capsys, "--seconds", "0.1", "--json")[1])
    assert any(each["counted"]["times"] for each in told["programs"] if "counted" in each)


@pytest.mark.parametrize("seconds", ["-1", "nan", "1e9"])
def test_seconds_have_bounds(capsys, seconds):
    assert ps(capsys, f"--seconds={seconds}") == (2, f"bpfloader: --seconds {float(seconds):g}: give a number up to 86400\n")


@pytest.mark.parametrize("name", ["a\nb", "\x1b[2Jx", "\t", "\x85\u2028"])
def test_no_name_of_a_process_breaks_a_line(attached, capsys, monkeypatch, name):
    monkeypatch.setattr(holders_module, "read_text", lambda path: name if path.endswith("/comm") else open(path).read())
    said = ps(capsys)[1]
    assert all(line.isprintable() for line in said.splitlines()) and "\nb" not in said
    assert all(isinstance(each, Process) for each in mine(bpfloader.programs(), attached.progs.on_enter.info.id).holders)


def places_of(program) -> tuple[str, ...]:
    return mine(bpfloader.programs(), program.info.id).attached


@pytest.fixture
def kinds(skeleton_module, kernel):
    """A function: names of programs of kinds.bpf.c -> the object with these loaded."""
    with contextlib.ExitStack() as stack:

        def load(*names):
            bpf = stack.enter_context(skeleton_module("kinds").Kinds.open())
            bpf.select(names)
            bpf.load()
            return bpf

        yield load


def test_a_program_of_a_cgroup_without_a_link(kinds, cgroup, tmp_path_factory):
    folder = os.path.join(cgroup, f"bpfloader-{os.getpid()}")
    os.mkdir(folder)
    try:
        program = kinds("on_connect4").progs.on_connect4
        fd, kind = os.open(folder, os.O_RDONLY), AttachType.CGROUP_INET4_CONNECT
        try:
            library().bpf_prog_attach(program.fd, fd, kind, 0)
            assert places_of(program) == (f"cgroup_inet4_connect {folder}",)
            library().bpf_prog_detach2(program.fd, fd, kind)
            with program.attach(folder):  # by a link: it is told once
                assert places_of(program) == (f"cgroup_inet4_connect {folder}",)
        finally:
            os.close(fd)
    finally:
        os.rmdir(folder)


def test_a_program_of_a_sockmap(kinds):
    bpf = kinds("on_verdict")
    with bpf.progs.on_verdict.attach(bpf.maps.sockets):
        assert places_of(bpf.progs.on_verdict) == (f"sk_skb_stream_verdict map {bpf.maps.sockets.id}",)
    assert places_of(bpf.progs.on_verdict) == ()


def test_a_program_at_a_perf_event_without_a_link(kinds, tmp_path):
    """As libbpf attaches on a kernel before 5.15, and others do on any: the event's descriptor keeps it."""
    program = kinds("on_uprobe").progs.on_uprobe
    binary = tmp_path / "binary"  # one that nobody runs: the kernel reads what it probes
    binary.write_bytes(bytes(4096))
    path = ctypes.create_string_buffer(os.fsencode(binary))
    attributes = WideAttr(type=_pmu_type("uprobe"), bp_addr=ctypes.addressof(path), config2=0x100)
    attributes.size = ctypes.sizeof(attributes)
    event = perf_event_open(attributes, -1, 0)
    try:
        fcntl.ioctl(event, 0x40042408, program.fd)  # PERF_EVENT_IOC_SET_BPF
        assert places_of(program) == (f"uprobe {binary}+0x100",)
    finally:
        os.close(event)


def test_a_program_of_a_network_namespace_without_a_link(kinds, own_network):
    def run():
        program = kinds("on_flow").progs.on_flow
        library().bpf_prog_attach(program.fd, 0, AttachType.FLOW_DISSECTOR, 0)
        inode = os.stat("/proc/thread-self/ns/net").st_ino
        assert places_of(program) == (f"flow_dissector network namespace {inode} (this one)",)
        library().bpf_prog_detach2(program.fd, 0, AttachType.FLOW_DISSECTOR)
        with program.attach():
            assert places_of(program) == (f"flow_dissector network namespace {inode} (this one)",)

    own_network(run)


def test_pins_are_found_wherever_the_file_system_is_mounted(loaded, tmp_path):
    """The kernel's list of mounts has escapes for some characters, and all other bytes as they are."""
    folder = os.fsencode(tmp_path) + b"/a b\\040\tcaf\xc3\xa9\xe9"
    os.mkdir(folder)
    if ctypes.CDLL(None).mount(b"bpf", folder, b"bpf", 0, None):
        pytest.skip("no BPF file system can be mounted")
    try:
        path = os.fsdecode(folder + b"/events")
        loaded.maps.events.pin(path)
        assert mine(bpfloader.maps(), loaded.maps.events.id).pins == (path,)
    finally:
        ctypes.CDLL(None).umount2(folder, 2)


def test_thousands_of_pins_are_listed_soon():
    """A search of all pins for each map would take a minute for as many as a list holds."""
    snapshot, count = Snapshot(), 10_000
    snapshot._pins = [Pin(f"/sys/fs/bpf/{number}", "map", number, "") for number in range(count)]
    began = time.process_time()
    assert [snapshot._pinned("map", number) for number in range(count)] == [(each.path,) for each in snapshot._pins]
    assert time.process_time() - began < 2
