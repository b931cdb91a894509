"""Maps of each type, used by a program and from Python, in this kernel."""

import ctypes
import mmap
import os
import select
import socket
import struct
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path

import bpfloader
import pytest

AF_XDP, XDP_REDIRECT, XDP_ABORTED = 44, 4, 0  # linux/socket.h, linux/bpf.h
PACKET = bytes(64)


@contextmanager
def connected():
    """A TCP connection on this host: both ends."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        peer, _ = server.accept()
        with peer:
            yield client, peer


def received(sock) -> bytes:
    assert select.select([sock], [], [], 5)[0], "nothing came"
    return sock.recv(100)


def test_what_a_program_pushes_is_popped_and_the_other_way_round(using, maps_skel):
    bpf = using("queue stack big", "fill take")
    for number in (5, 7):
        bpf.bss.number = number
        bpf.progs.fill.test_run(PACKET)
    assert bpf.maps.queue.peek() == maps_skel.Pair(5, 6)
    assert bpf.progs.take.test_run(PACKET).value == 6 and bpf.bss.number == 7
    bpf.maps.stack.extend([1, 2])
    bpf.progs.take.test_run(PACKET)
    assert bpf.bss.number == 2
    assert list(bpf.maps.stack) == [2, 1, 7, 5] and list(bpf.maps.queue) == []
    with pytest.raises(TypeError):
        len(bpf.maps.queue)


def test_a_bloom_filter_is_asked_by_a_program(using):
    bpf = using("bloom", "seen")
    bpf.maps.bloom.update(range(0, 100, 2))
    assert all(number in bpf.maps.bloom for number in range(0, 100, 2))
    assert sum(number in bpf.maps.bloom for number in range(1, 100, 2)) < 10
    said = []
    for number in range(100):
        bpf.bss.number = number
        said.append(bpf.progs.seen.test_run(PACKET).value == 1)
    assert said == [number in bpf.maps.bloom for number in range(100)]
    with pytest.raises(bpfloader.LayoutError):
        -1 in bpf.maps.bloom  # noqa: B015


def test_a_program_finds_the_network_that_was_put(using, maps_skel):
    bpf = using("routes", "route")
    routes = bpf.maps.routes
    routes[routes.key("2001:db8::/32")] = 1
    routes[routes.key("2001:db8:300::/40")] = 2
    routes[routes.key("10.0.0.0/8")] = 3
    for number, found in ((2, 1), (3, 2)):
        bpf.bss.number = number
        assert bpf.progs.route.test_run(PACKET).value == found
    assert routes[routes.key("10.9.8.7")] == 3 and routes.key("11.0.0.1") not in routes
    assert sorted(map(str, map(routes.network, routes))) == ["10.0.0.0/8", "2001:db8:300::/40", "2001:db8::/32"]
    assert routes.key("10.0.0.0/8") == maps_skel.Prefix(104, bytes(10) + b"\xff\xff\x0a\0\0\0")
    with pytest.raises(ValueError, match="has host bits set"):
        routes.key("10.0.0.1/8")


def test_a_value_is_read_whole_under_its_lock(using, maps_skel):
    bpf = using("guarded", "guard")
    table, lock = bpf.maps.guarded, bpfloader.LOCK
    table[1] = maps_skel.Guarded(first=1, second=1)
    for _ in range(3):
        assert bpf.progs.guard.test_run(PACKET).value == 1
    found = table.lookup(1, lock)
    assert (found.writes, found.first, found.second) == (3, 4, 4)
    table.put(1, maps_skel.Guarded(first=9, second=9), lock | bpfloader.EXIST)
    assert table[1].first == 9
    with pytest.raises(KeyError):
        table.lookup(2, lock)


def test_programs_call_those_that_are_put_into_an_array(using):
    bpf = using("next", "jump target")
    calls, jump = bpf.maps.next, bpf.progs.jump
    bpf.bss.number = 2
    assert jump.test_run(PACKET).value == 1 and dict(calls) == {}
    calls[2] = bpf.progs.target
    assert jump.test_run(PACKET).value == 42
    assert list(calls) == [2] and calls[2] > 0 and 3 not in calls
    with pytest.raises(bpfloader.LayoutError, match="put the object itself"):
        calls[3] = calls[2]
    calls[3] = bpf.progs.target.fd
    assert calls[3] == calls[2]
    del calls[2]
    assert jump.test_run(PACKET).value == 1 and list(calls) == [3]
    calls.clear()
    assert list(calls) == []
    with pytest.raises(bpfloader.MapError, match="EBADF.*descriptor given is closed"):
        calls[0] = 9999


def test_maps_in_maps_are_given_to_programs(using, maps_skel):
    bpf = using("outer outer_by_name first_inner", "nested")
    outer, named, pair = bpf.maps.outer, bpf.maps.outer_by_name, maps_skel.Pair
    assert list(outer) == [1] and outer[1].id == bpf.maps.first_inner.id  # as the object's file says
    named[pair(1, 2)] = held = named.create(max_entries=32, name="mine")
    assert held.info.max_entries == 32 and held.info.name == "mine" and type(held) is bpfloader.Hash
    bpf.bss.number, bpf.bss.answer = 1, 77
    assert bpf.progs.nested.test_run(PACKET).value == 3
    assert dict(bpf.maps.first_inner) == dict(outer[1]) == dict(named[pair(1, 2)]) == dict(held) == {1: pair(1, 77)}
    outer[3] = held
    del outer[1]
    assert {key: inner.id for key, inner in outer.items()} == {3: held.id}
    assert outer.batch(numpy=False)[0][1].id == held.id
    with pytest.raises(KeyError):
        outer[0]
    with pytest.raises(bpfloader.MapError, match="EINVAL.*`create` makes one"):
        outer[0] = outer
    with pytest.raises(bpfloader.StateError, match="the map exists"):
        held.max_entries = 3
    del bpf, held
    assert outer.popitem()[0] == 3


def test_inner_maps_close_with_their_last_use(using, maps_skel):
    bpf = using("outer first_inner")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(50):
        bpf.maps.outer[1][5] = maps_skel.Pair(1, 2)
    inner = bpf.maps.outer[1]
    assert inner[5].high == 2 and len(os.listdir("/proc/self/fd")) == before + 1
    bpf.destroy()
    assert inner[5].high == 2  # it is its own
    del inner
    with pytest.raises(bpfloader.StateError):
        bpf.maps.outer.create()


def test_ring_buffers_in_a_map(using):
    bpf = using("rings")
    bpf.maps.rings[0] = bpf.maps.rings.create()
    ring = bpf.maps.rings[0]
    assert isinstance(ring, bpfloader.RingBuffer) and ring.size == 4096
    assert ring.batch(0) == [] and ring.lost is None


def test_a_mapped_array_is_the_memory_that_programs_see(using, maps_skel):
    bpf = using("shared", "share")
    shared, pair = bpf.maps.shared, maps_skel.Pair
    elements = shared.elements
    elements[299] = pair(1, 41)
    bpf.bss.number = 299
    assert bpf.progs.share.test_run(PACKET).value == 41
    assert elements[299] == elements[-1] == shared[299] == pair(42, 41)
    assert struct.unpack_from("=II", shared.memory, 8 * 299) == (42, 41) and len(shared.memory) == 2400
    assert elements[298:] == [pair(), pair(42, 41)] and len(elements) == len(list(elements)) == 300
    with pytest.raises(IndexError):
        elements[300]
    view = shared.memory
    bpf.destroy()
    assert view[-8] == 42
    with pytest.raises(bpfloader.StateError):
        shared.elements  # noqa: B018


def test_a_frozen_map_is_mapped_for_reading(using, maps_skel):
    bpf = using("shared slots")
    bpf.maps.shared[3] = maps_skel.Pair(5, 6)
    bpf.maps.shared.freeze()
    assert bpf.maps.shared.elements[3].low == 5 and bpf.maps.shared.memory.readonly
    with pytest.raises(TypeError):
        bpf.maps.shared.elements[3] = maps_skel.Pair()
    with pytest.raises(bpfloader.MapError, match="EPERM.*or frozen"):
        bpf.maps.shared[3] = maps_skel.Pair()
    with pytest.raises(bpfloader.MapError, match="slots can't be mapped; .*BPF_F_MMAPABLE"):
        bpf.maps.slots.memory  # noqa: B018
    with pytest.raises(bpfloader.MapError, match="frozen"):
        bpf.maps.shared.freeze()


def test_an_arena_is_memory_of_both(opened_with):
    bpf = opened_with("arena", "use_arena")
    bpf.maps.arena.map_extra = 1 << 44
    try:
        bpf.load()
    except bpfloader.LoadError as error:
        pytest.skip(f"no arenas here: {error.what}")
    arena = bpf.maps.arena
    assert arena.address == 1 << 44 and len(arena.memory) == 4 * mmap.PAGESIZE
    place = 3 * mmap.PAGESIZE + 8
    arena.memory[place] = 41
    bpf.bss.shared_address = arena.address + place
    assert bpf.progs.use_arena.run().value == 42 and arena.memory[place] == 42
    assert arena.memory[0] == 0
    bpf.destroy()
    with pytest.raises(bpfloader.StateError):
        arena.memory  # noqa: B018


def test_an_arena_may_lie_anywhere(using):
    bpf = using("arena")
    bpf.maps.arena.memory[5] = 7
    assert ctypes.string_at(bpf.maps.arena.address + 5, 1) == b"\7"


def test_a_stack_is_traced_and_told_by_name(using):
    bpf = using("traces of_task", "on_enter")
    bpf.bss.target_pid = os.getpid()
    with bpf.progs.on_enter.attach():
        os.getppid()
    traces, stack_id = bpf.maps.traces, bpf.data.stack_id
    assert stack_id >= 0 and stack_id in traces and stack_id in list(traces)
    addresses = traces[stack_id]
    assert addresses and all(addresses) and list(traces.walk(stack_id)) == list(addresses)
    names = traces.symbols(stack_id)
    assert len(names) == len(addresses) and any("syscall" in name or "sys_enter" in name for name in names), names
    assert traces.symbols(stack_id, offset=False) == tuple(name.split("+")[0] for name in names)
    with pytest.raises(bpfloader.MapError, match="add them in a program"):
        traces[stack_id] = addresses
    traces.clear()
    assert stack_id not in traces and len(traces) == 0


def test_a_user_stack_is_told_by_name(using):
    bpf = using("traces of_task", "on_enter")
    bpf.bss.target_pid, bpf.bss.stack_flags = os.getpid(), 1 << 8  # BPF_F_USER_STACK
    getppid = ctypes.CDLL(None).getppid
    with bpf.progs.on_enter.attach():
        getppid()
        stack_id = bpf.data.stack_id
    traces = bpf.maps.traces
    names = traces.user_symbols(stack_id, os.getpid())
    assert len(names) == len(traces[stack_id]) and names[0].startswith("getppid+0x"), names
    assert traces.user_symbols(stack_id, os.getpid(), offset=False)[0] == "getppid [libc.so.6]"
    assert traces.user_symbols(stack_id, 2**22 + 1) == tuple(map(hex, traces[stack_id]))


def test_a_task_keeps_what_a_program_counts(using):
    bpf = using("traces of_task", "on_enter")
    tasks, me = bpf.maps.of_task, os.getpid()
    assert me not in tasks and tasks.get(me, 5) == 5
    bpf.bss.target_pid = me
    with bpf.progs.on_enter.attach():
        os.getppid()
    counted = tasks[me]
    assert counted > 0
    with pytest.raises(bpfloader.MapError, match="EEXIST"):
        tasks.put(me, 1, bpfloader.NOEXIST)
    tasks[me] = 3
    pidfd = os.pidfd_open(me)
    with open(pidfd, "rb", buffering=0) as process:
        assert tasks[process] == 3
    del tasks[me]
    with pytest.raises(KeyError):
        del tasks[me]
    with pytest.raises(bpfloader.MapError, match=r"of_task: can't open 4194305 \((ESRCH|EINVAL).*give a pid"):
        tasks[4194305]  # PID_MAX_LIMIT + 1
    with pytest.raises(TypeError):
        list(tasks)


def test_a_cgroup_keeps_what_a_program_counts(using, cgroup):
    bpf = using("of_cgroup", "on_enter_cgroup")
    bpf.bss.target_pid = os.getpid()
    ours = cgroup + next(line for line in Path("/proc/self/cgroup").read_text().split() if line.startswith("0::"))[3:]
    with bpf.progs.on_enter_cgroup.attach():
        os.getppid()
    assert bpf.maps.of_cgroup[ours] > 0
    del bpf.maps.of_cgroup[ours]
    assert ours not in bpf.maps.of_cgroup
    with pytest.raises(bpfloader.MapError, match="ENOENT.*give a cgroup that is there"):
        bpf.maps.of_cgroup["/no/such/cgroup"]


def test_a_cgroup_keeps_what_programs_attached_to_it_count(using, cgroup, maps_skel):
    """The older storage: keys are a cgroup's inode and a kind of program, and only attaching adds one."""
    bpf = using("of_cgroup_before of_cgroup_per_cpu", "on_egress")
    whole, each = bpf.maps.of_cgroup_before, bpf.maps.of_cgroup_per_cpu
    assert dict(whole) == {} == dict(each)
    with bpf.progs.on_egress.attach(cgroup), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for _ in range(3):
            sender.sendto(b"x", ("127.0.0.1", 9))
        ((key, count),) = whole.items()
        assert key.cgroup_inode_id == os.stat(cgroup).st_ino and count >= 3
        assert sum(each[key]) >= 3 and list(each) == [key]
        whole[key] = 1000
        sender.sendto(b"x", ("127.0.0.1", 9))
        assert whole[key] > 1000
        with pytest.raises(bpfloader.MapError, match="of_cgroup_before: bpf_map_delete_elem failed .EINVAL"):
            del whole[key]


def test_an_inode_keeps_a_value(using, tmp_path):
    files = using("of_inode").maps.of_inode
    path = tmp_path / "kept"
    path.write_text("x")
    files[path] = 12
    with path.open() as file:
        assert files[file] == files[file.fileno()] == files[str(path)] == 12
    assert tmp_path not in files
    with pytest.raises(bpfloader.LayoutError, match=r"of_inode: 1.5 is no file"):
        files[1.5]


def test_a_socket_keeps_what_a_program_wrote(using, cgroup, maps_skel):
    bpf = using("of_socket", "on_socket")
    with socket.socket() as before, bpf.progs.on_socket.attach(cgroup), socket.socket() as after:
        assert before not in bpf.maps.of_socket
        assert bpf.maps.of_socket[after] == maps_skel.Pair(7, os.getpid())
        bpf.maps.of_socket[before.fileno()] = maps_skel.Pair(1, 2)
        assert bpf.maps.of_socket[before].high == 2
    with tempfile.TemporaryFile() as file, pytest.raises(bpfloader.MapError, match="ENOTSOCK"):
        bpf.maps.of_socket[file]


@pytest.mark.parametrize("name, program", [("sockets", "forward"), ("sockets_by_name", "forward_by_name")])
def test_sockets_that_a_program_redirects_to(using, maps_skel, name, program):
    bpf = using(name, program)
    sockets = bpf.maps[name]
    into, out = (0, 1) if name == "sockets" else (maps_skel.Pair(0, 0), maps_skel.Pair(5, 6))
    with bpf.progs[program].attach(sockets), connected() as (client, peer), connected() as (other, far):
        sockets[into] = peer
        sockets[out] = other
        assert set(sockets) == {into, out} and sockets[into] != sockets[out]
        client.sendall(b"hello")
        assert received(far) == b"hello"
        with pytest.raises(bpfloader.LayoutError, match="put the object itself"):
            sockets[into] = sockets[out]
        del sockets[out]
        assert set(sockets) == {into} and out not in sockets
    assert dict(sockets) == {}  # they leave when they are closed


def test_a_sockmap_of_4_bytes_tells_nothing(using):
    bpf = using("blind_sockets")
    with connected() as (client, _):
        bpf.maps.blind_sockets[0] = client
        with pytest.raises(bpfloader.MapError, match="ENOSPC.*values of 8 bytes"):
            bpf.maps.blind_sockets[0]
        del bpf.maps.blind_sockets[0]


def test_a_program_chooses_among_listeners(using):
    bpf = using("listeners", "choose")
    with ExitStack() as stack:
        group = [stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(3)]
        for each in group:
            each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            each.bind(group[0].getsockname() if each is not group[0] else ("127.0.0.1", 0))
        for place, each in enumerate(group):
            bpf.maps.listeners[place] = each
        assert len(set(bpf.maps.listeners.values())) == 3
        with bpf.progs.choose.attach(group[0]), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for number in (2, 0, 1):
                bpf.bss.number = number
                sender.sendto(b"x", group[0].getsockname())
                assert received(group[number]) == b"x"
        with (
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as plain,
            pytest.raises(bpfloader.MapError, match="SO_REUSEPORT"),
        ):
            bpf.maps.listeners[3] = plain


@pytest.mark.parametrize("name, program, value", [
    ("devices", "to_device", 1), ("devices_by_name", "to_device_by_name", 1), ("cpus", "to_cpu", 64),
])  # fmt: skip
def test_packets_are_redirected_where_the_map_says(using, name, program, value):
    bpf = using(name, program)
    places, run = bpf.maps[name], bpf.progs[program].test_run
    bpf.bss.number = 1
    assert run(PACKET).value == XDP_ABORTED and 1 not in places and dict(places) == {}
    try:
        places[1] = value
    except bpfloader.MapError as error:
        if name != "cpus" or os.cpu_count() > 1:
            raise
        pytest.skip(f"one CPU only: {error}")
    assert run(PACKET).value == XDP_REDIRECT and dict(places) == {1: value}
    with pytest.raises(bpfloader.MapError):
        places[2] = 2**31
    del places[1]
    assert run(PACKET).value == XDP_ABORTED and dict(places) == {}


def test_packets_are_redirected_to_xdp_sockets(using):
    bpf = using("xsks", "to_xsk")
    try:
        queue = socket.socket(AF_XDP, socket.SOCK_RAW)
    except OSError as error:
        pytest.skip(f"no XDP sockets here: {error}")
    with queue:
        bpf.maps.xsks[1] = queue
        bpf.bss.number = 1
        assert bpf.progs.to_xsk.test_run(PACKET).value == XDP_REDIRECT
        del bpf.maps.xsks[1]
        assert bpf.progs.to_xsk.test_run(PACKET).value == XDP_ABORTED
    with socket.socket() as other, pytest.raises(bpfloader.MapError, match="xsks: bpf_map_update_elem failed"):
        bpf.maps.xsks[1] = other


def test_a_program_tests_its_cgroup_and_reads_a_counter(using, cgroup):
    bpf = using("cgroups counters", "on_enter_test")
    cgroups, counters = bpf.maps.cgroups, bpf.maps.counters
    bpf.bss.target_pid = os.getpid()
    counters.count("cpu-clock")
    cgroups[1] = cgroup
    with bpf.progs.on_enter_test.attach():
        os.getppid()
        first = bpf.bss.count
        assert bpf.bss.answer == 1 and 0 < first < 1 << 62
        del cgroups[1]
        os.getppid()
        assert bpf.bss.count > first and bpf.bss.answer == 2**32 - 11  # EAGAIN: nothing is there
    with pytest.raises(bpfloader.MapError, match="cgroups: can't open the cgroup /no.*ENOENT"):
        cgroups[0] = "/no"
    with pytest.raises(bpfloader.MapError, match="E2BIG.*raise max_entries"):
        cgroups[2] = cgroup
    with pytest.raises(ValueError, match="there is no event 'sun-rises': give one of .*cpu-clock"):
        counters.count("sun-rises")
