"""The tracker in this kernel: real connections on a loopback, each found with its addresses, ports, pid and comm."""

import ctypes
import errno
import ipaddress
import mmap
import os
import socket
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from sightings import PATIENCE, all_of, facts, one, seen

V4, V6 = "127.0.0.1", "::1"
TCP, UDP, ICMP, ICMP6 = 6, 17, 1, 58


@pytest.mark.parametrize(("name", "address"), [("tcp4", V4), ("tcp6", V6), ("tcp_mapped", V4)])
def test_tcp_is_seen_from_both_ends(start, traffic, name, address):
    skel = start()
    did = traffic(name)
    server, client = f"{address} {did['port']}", f"{address} {did['client_port']}"
    out = TCP, client, server, did["client"], "client", "OUT"
    inward = TCP, server, client, did["server"], "server", "IN"
    events = seen(skel, all_of(("CONNECT", *out), ("ACCEPT", *inward), ("CLOSE", *out), ("CLOSE", *inward)))
    connect, close = one(events, ("CONNECT", *out)), one(events, ("CLOSE", *out))
    accept, end = one(events, ("ACCEPT", *inward)), one(events, ("CLOSE", *inward))
    assert (close.sent, close.received, end.sent, end.received) == (1000, 500, 500, 1000)
    assert close.socket == connect.socket != accept.socket == end.socket
    assert 0 < connect.duration < close.duration < PATIENCE * 1e9
    assert connect.time - connect.duration == close.time - close.duration == connect.since
    assert connect.uid == accept.uid == 0
    assert did["client"] not in {event.pid for event in events if event.kind.name == "EVENT_ACCEPT"}


def _datagram(version: int, protocol: int, payload: bytes) -> bytes:
    """An Ethernet frame with an IP packet from 192.0.2.1 or 2001:db8::1 to 192.0.2.2 or 2001:db8::2."""
    ends = [ipaddress.ip_address("192.0.2.0" if version == 4 else "2001:db8::") + number for number in (1, 2)]
    addresses = b"".join(each.packed for each in ends)
    if version == 4:
        header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), 0, 0, 64, protocol, 0)
        return bytes(12) + b"\x08\x00" + header + addresses + payload
    return bytes(12) + b"\x86\xdd" + struct.pack("!IHBB", 6 << 28, len(payload), protocol, 64) + addresses + payload


@pytest.mark.parametrize("payload, port, expected", [
    (struct.pack("!HHHH", 5000, 53, 13, 0) + b"hello", 53, ["SEND"]),
    (struct.pack("!HHHH", 5000, 54, 13, 0) + b"hello", 53, []),
    (b"\x13\x88", 0, []),  # cut short
])  # fmt: skip
@pytest.mark.parametrize("version", [4, 6])
def test_a_datagram_is_read_as_the_kernel_hands_it_over(tracker, bpf_testbed, version, payload, port, expected):
    """By test runs: no other traffic, and packets that no socket would send."""
    bpf = bpf_testbed.open(tracker.SocketTracker, variant="tp_btf")
    bpf.rodata.filter_port = port
    bpf_testbed.load(bpf, "send_tp_btf")
    assert bpf_testbed.run(bpf.progs.send_tp_btf, _datagram(version, UDP, payload)).value == 1  # it passes
    events = [facts(event) for event in bpf.maps.events.batch()]
    assert [event[0] for event in events] == expected
    ends = ("192.0.2.1 5000", "192.0.2.2 53") if version == 4 else ("2001:db8::1 5000", "2001:db8::2 53")
    assert all(event[1:5] == (UDP, *ends, os.getpid()) for event in events)


def test_an_accept_belongs_to_the_process_that_accepts(start, traffic):
    skel = start()
    did = traffic("prefork")

    def at_server(events):
        return {(facts(it)[0], it.pid) for it in events if it.sport == did["port"]}

    events = seen(skel, lambda events: len(at_server(events)) >= 2)
    assert at_server(events) == {("ACCEPT", did["server"]), ("CLOSE", did["server"])}
    assert did["server"] != did["listener"]


def test_an_accept_that_waited_before_the_tracker_came_is_seen(start):
    with socket.create_server((V4, 0)) as server:
        thread = threading.Thread(target=lambda: server.accept()[0].close(), daemon=True)
        thread.start()
        time.sleep(0.2)
        skel = start()
        with socket.create_connection(server.getsockname()) as client:
            ends = f"{V4} {server.getsockname()[1]}", f"{V4} {client.getsockname()[1]}"
            comm = Path("/proc/self/comm").read_text().strip()
            seen(skel, all_of(("ACCEPT", TCP, *ends, os.getpid(), comm, "IN")))
        thread.join()


def test_a_refused_connection_is_seen(start, traffic):
    skel = start()
    did = traffic("refused")
    events = seen(skel, lambda events: [it for it in events if it.dport == did["port"]])
    (failed,) = [it for it in events if it.dport == did["port"]]
    assert facts(failed)[0] == "FAIL" and failed.error == errno.ECONNREFUSED
    assert facts(failed)[3:6] == (f"{V4} {did['port']}", did["pid"], "traffic")
    assert failed.sport


@pytest.mark.parametrize("connected", ["connected", "unconnected"])
@pytest.mark.parametrize(("name", "address"), [("udp4", V4), ("udp6", V6), ("udp_mapped", V4)])
def test_udp_is_seen(start, traffic, name, address, connected):
    skel = start()
    did = traffic(f"{name}_{connected}")
    wanted = "SEND", UDP, f"{address} {did['local_port']}", f"{address} {did['port']}", did["pid"], "traffic", "OUT"
    assert one(seen(skel, all_of(wanted)), wanted).sent == len(b"hello")


@pytest.mark.parametrize(
    ("name", "protocol", "address"),
    [("ping4", ICMP, V4), ("ping6", ICMP6, V6), ("raw4", ICMP, V4), ("raw6", ICMP6, V6)],
)
def test_an_echo_request_is_seen_and_its_reply_is_nobodys(start, traffic, name, protocol, address):
    skel = start()
    did = traffic(name)
    wanted = "SEND", protocol, f"{address} {did['local_port']}", f"{address} 0", did["pid"], "traffic", "OUT"
    events = seen(skel, all_of(wanted))
    assert one(events, wanted).sent == len(b"data")
    # The answer has been received before the traffic's process ended: its event would be here.
    assert [facts(event) for event in events if event.pid == did["pid"]] == [wanted]


def test_connections_holds_what_is_open(start):
    skel = start()
    with socket.create_server((V4, 0)) as server, socket.create_connection(server.getsockname()) as client:
        accepted, peer = server.accept()
        with accepted:
            port = server.getsockname()[1]

            def mine():
                return {key: it for key, it in skel.maps.connections.items() if port in (it.sport, it.dport)}

            found = mine().values()
            ends = {(it.direction.name, it.sport, it.dport, it.pid, it.established) for it in found}
            assert ends == {
                ("DIRECTION_OUT", peer[1], port, os.getpid(), 1),
                ("DIRECTION_IN", port, peer[1], os.getpid(), 1),
            }
            sockets = mine().keys()
            events = seen(skel, lambda events: sockets <= {it.socket for it in events})
            assert {facts(it)[0] for it in events if it.socket in sockets} == {"CONNECT", "ACCEPT"}
        client.close()
        end = time.monotonic() + PATIENCE
        while mine() and time.monotonic() < end:
            time.sleep(0.01)
        assert not mine()


def test_the_filter_wants_one_process_only(start, traffic):
    skel = start(pids=(os.getpid(),))
    traffic("udp4_unconnected")
    traffic("tcp4")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"mine", (V4, 9))
        port = sender.getsockname()[1]
    events = seen(skel, lambda events: any(event.sport == port for event in events))
    assert {event.pid for event in events} == {os.getpid()}
    assert all(it.pid == os.getpid() for it in skel.maps.connections.values())


def test_two_trackers_see_the_same_events(start, traffic):
    first, second = start(), start()
    did = traffic("udp4_connected")
    wanted = "SEND", UDP, f"{V4} {did['local_port']}", f"{V4} {did['port']}", did["pid"], "traffic", "OUT"
    assert one(seen(first, all_of(wanted)), wanted).socket == one(seen(second, all_of(wanted)), wanted).socket
    second.destroy()
    did = traffic("udp4_connected")
    seen(first, lambda events: any(event.sport == did["local_port"] for event in events))


def test_after_destroy_the_kernel_runs_none_of_it(start):
    skel = start()
    libbpf = ctypes.CDLL("libbpf.so.1", use_errno=True)

    def number(program) -> int:
        lines = Path(f"/proc/self/fdinfo/{program.fd}").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("prog_id:"))

    def lives(number: int) -> bool:
        fd = libbpf.bpf_prog_get_fd_by_id(number)
        if fd >= 0:
            os.close(fd)
        return fd >= 0

    numbers = [number(program) for program in skel.progs if program.autoload]
    assert numbers and all(map(lives, numbers))
    skel.destroy()
    end = time.monotonic() + PATIENCE  # the kernel frees a program after a grace period
    while any(map(lives, numbers)) and time.monotonic() < end:
        time.sleep(0.05)
    assert not any(map(lives, numbers))


def test_records_lost_by_a_full_ring_are_counted(start, tracker):
    """With a ring of one page, as a flood that fills the usual one fills that of every other test as well."""
    with tracker.SocketTracker.open(variant=start.variant) as skel:
        skel.maps.events.max_entries = mmap.PAGESIZE
        skel.rodata.filter_pid = os.getpid()
        skel.load()
        skel.attach()
        most = mmap.PAGESIZE // 100
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for _ in range(most):
                sender.sendto(b"", (V4, 9))
        kept = skel.maps.events.consume(lambda event: None)
        assert 0 < kept < most and skel.bss.events_lost == skel.maps.events.lost == most - kept


def test_the_machine_keeps_its_mounts(start):
    os.access("/sys/kernel/debug/tracing/events", os.F_OK)  # debugfs mounts it once somebody looks, as libbpf does
    before = Path("/proc/self/mountinfo").read_text()
    start()
    assert Path("/proc/self/mountinfo").read_text() == before
    looks = [sys.executable, "-c", "print(open('/proc/self/mountinfo').read(), end='')"]
    assert subprocess.run(looks, capture_output=True, text=True).stdout == before
