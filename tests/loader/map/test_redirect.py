"""Sockets, interfaces and CPUs to which programs redirect, and cgroups against which they test tasks."""

import os
import select
import socket
from contextlib import ExitStack, contextmanager

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
