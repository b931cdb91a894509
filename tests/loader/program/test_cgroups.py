"""Programs of cgroups: each attaches and counts what this process does."""

import os
import socket
from pathlib import Path

import pytest


def udp():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"x", receiver.getsockname())
            receiver.recvfrom(10)


def tcp(family=socket.AF_INET, address="127.0.0.1"):
    with socket.create_server((address, 0), family=family) as server:
        with socket.create_connection(server.getsockname()[:2]) as client:
            client.getpeername()
            client.getsockname()
            client.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            client.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


def unix():
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind("\0bpfloader-test")
        server.listen()
        client.connect("\0bpfloader-test")


EVENTS = {
    "on_cgroup_ingress": udp, "on_cgroup_egress": udp, "on_sock_create": udp, "on_sock_release": udp,
    "on_bind4": udp, "on_post_bind4": udp, "on_connect4": tcp, "on_sendmsg4": udp, "on_recvmsg4": udp,
    "on_getpeername4": tcp, "on_getsockname4": tcp, "on_getsockopt": tcp, "on_setsockopt": tcp, "on_sockops": tcp,
    "on_connect6": lambda: tcp(socket.AF_INET6, "::1"), "on_bind6": lambda: tcp(socket.AF_INET6, "::1"),
    "on_connect_unix": unix, "on_device": lambda: open("/dev/null", "rb").close(),
    "on_sysctl": lambda: Path("/proc/sys/kernel/ostype").read_text(),
}  # fmt: skip


@pytest.mark.parametrize("name", EVENTS)
def test_what_a_cgroup_does_is_seen(start, attached, cgroup, name):
    if name.endswith("6") and not os.path.exists("/proc/net/if_inet6"):
        pytest.skip("this kernel has no IPv6")
    bpf = attached(start, name)
    link = bpf.progs[name].attach(cgroup)
    EVENTS[name]()
    assert bpf.bss.hits >= 1
    assert link.id and link in bpf.links
    assert bpf.attach() == []


def test_a_cgroup_by_its_descriptor(start, cgroup):
    bpf = start("on_connect4")
    fd = os.open(cgroup, os.O_RDONLY)
    with bpf.progs.on_connect4.attach(fd):
        os.close(fd)
        tcp()
        assert bpf.bss.hits >= 1
    with pytest.raises(TypeError):
        bpf.progs.on_connect4.attach()


def test_a_place_among_the_programs_of_a_cgroup(start, attached, cgroup):
    bpf = start("on_connect4")
    link = attached(bpf.progs.on_connect4.attach, cgroup, first=True)
    tcp()
    assert bpf.bss.hits >= 1 and link.attached


def test_lsm_of_a_cgroup(start, attached, cgroup):
    bpf = attached(start, "on_lsm_cgroup")
    attached(bpf.progs.on_lsm_cgroup.attach, cgroup)
    udp()
    assert bpf.bss.hits
