"""The app's filters: of real traffic each lets through what it says, and the kernel makes no event of the rest."""

import ctypes
import importlib
import json
import os
import socket
from ipaddress import ip_network

import pytest
from app import V4, finished, stop

PR_SET_NAME = 15  # linux/prctl.h


@pytest.fixture
def happen():
    """A function that makes one of each: a TCP connection of both ends, a refused one, a datagram to ::1; its ports.

    Its datagrams' thread is called `sender`.
    """

    def do() -> dict[str, int]:
        with socket.create_server((V4, 0)) as server, socket.create_connection(server.getsockname()) as client:
            accepted, _ = server.accept()
            accepted.close()
            ports = {"server": server.getsockname()[1], "client": client.getsockname()[1]}
        with socket.socket() as refused:
            ports["refused"] = ports["server"]
            refused.connect_ex((V4, ports["server"]))
        libc = ctypes.CDLL(None)
        before = ctypes.create_string_buffer(16)
        libc.prctl(16, before)  # PR_GET_NAME
        libc.prctl(PR_SET_NAME, b"sender")
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"last", ("::1", 9))
        libc.prctl(PR_SET_NAME, before)
        return ports

    return do


ALL = ["connect tcp", "accept tcp", "close tcp", "close tcp", "fail tcp", "send udp"]


@pytest.mark.parametrize(
    "options, expected",
    [
        ([], ALL),
        (["--protocol", "udp"], ["send udp"]),
        (["--protocol", "tcp,udp"], ALL),
        (["--event", "accept,send"], ["accept tcp", "send udp"]),
        (["--event", "accept", "--event", "fail"], ["accept tcp", "fail tcp"]),
        (["--direction", "in"], ["accept tcp", "close tcp"]),
        (["--port", "9"], ["send udp"]),
        (["--address", "::1"], ["send udp"]),
        (["--address", "127.0.0.0/8", "--direction", "out"], ["connect tcp", "close tcp", "fail tcp"]),
        (["--comm", "send*"], ["send udp"]),
        (["--uid", "root", "--event", "send"], ["send udp"]),
        (["--uid", "65533,65534"], []),
        (["--uid", "65534"], []),
    ],
)
def test_an_option_lets_through_what_it_says(run, happen, options, expected):
    if os.geteuid():
        pytest.skip("the test's user is root")
    process = run("--json", "--pid", str(os.getpid()), *options)
    happen()
    out, errors = stop(process)
    events = [json.loads(line) for line in out.splitlines()]
    assert sorted(f"{event['event']} {event['protocol']}" for event in events) == sorted(expected)
    assert "; 0 lost; 0 connections still open" in errors


@pytest.mark.parametrize(
    "wanted, expected",
    [
        ({"protocols": (17,)}, {"SEND"}),
        ({"kinds": (3,)}, {"ACCEPT"}),
        ({"directions": (2,)}, {"ACCEPT", "CLOSE"}),
        ({"ports": (9,)}, {"SEND"}),
        ({"uids": (65534,)}, set()),
        (
            {"comms": ("no such",), "networks": (ip_network("10.0.0.0/8"),)},
            {"CONNECT", "ACCEPT", "CLOSE", "FAIL", "SEND"},
        ),
    ],
)
def test_the_kernel_makes_no_event_of_what_it_can_tell_is_not_wanted(start, happen, wanted, expected):
    skel = start(pids=(os.getpid(),), **wanted)
    happen()
    assert {event.kind.name[6:] for event in skel.maps.events.batch(timeout=0)} == expected
    if "protocols" in wanted:
        with socket.create_server((V4, 0)) as server, socket.create_connection(server.getsockname()):
            assert not len(skel.maps.connections), "a connection that no event can come of takes no room"


def test_user_space_filters_the_rest(tracker):
    filters = importlib.import_module("socket_tracker.filters").Filters
    event = tracker.Event(pid=7, comm="nginx", daddr=ip_network("10.1.2.3").network_address, dport=443, protocol=6)
    for wanted, fits in (
        ({}, True), ({"pids": (7, 8)}, True), ({"pids": (8,)}, False), ({"comms": ("ng*",)}, True),
        ({"comms": ("x", "y")}, False),
        ({"ports": (443, 80)}, True), ({"ports": (80,)}, False), ({"networks": (ip_network("10.0.0.0/8"),)}, True),
        ({"networks": (ip_network("fe80::/10"), ip_network("11.0.0.0/8"))}, False),
        ({"protocols": (6,), "ports": (80,)}, False),
    ):  # fmt: skip
        assert filters(**wanted).events()(event) == fits, wanted


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["--port", "65536"], "'65536' is no port"),
        (["--port", "80,"], "'' is no port"),
        (["--buffer", "0"], "'0' is no number of KiB"),
        (["--address", "10.0.0.0/33"], "is no IP address or network"),
        (["--protocol", "sctp"], "'sctp' is no protocol; take of icmp, tcp, udp, icmp6"),
        (["--event", "open"], "'open' is no event; take of connect, fail, accept, close, send"),
        (["--uid", "no such"], "is no user of this machine, nor a number"),
        (["--top", "--json"], "not allowed with argument"),
        (["--sort", "size"], "invalid choice"),
    ],
)
def test_a_wrong_filter_is_one_line(package, arguments, said):
    done = finished(package, *arguments)
    assert done.returncode == 2 and said in done.stderr.splitlines()[-1] and "Traceback" not in done.stderr


def test_help_teaches_with_examples(package):
    text = finished(package, "--help", COLUMNS="100").stdout
    assert "sudo python -m socket_tracker --top" in text and "10.0.0.0/8" in text
    assert max(map(len, text.splitlines())) <= 120
