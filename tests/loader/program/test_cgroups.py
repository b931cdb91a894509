"""Programs of cgroups: each attaches and counts what this process does."""

import errno
import os
import socket
import time
from pathlib import Path

import bpfloader
import pytest
from bpfloader.kernel import bpf as bpf_call
from bpfloader.kernel.attach_type import AttachType


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


@pytest.fixture
def folders(cgroup):
    """A cgroup and one below it, gone after the test."""
    above = Path(cgroup, f"bpfloader-{os.getpid()}")
    below = above / "below"
    below.mkdir(parents=True)
    yield above, below
    for each in (below, above):
        if each.exists():
            each.rmdir()


def test_a_link_of_a_cgroup_that_has_gone_is_not_attached(start, attached, folders):
    bpf = start("on_connect4")
    link = attached(bpf.progs.on_connect4.attach, folders[1])
    assert link.attached
    folders[1].rmdir()
    end = time.monotonic() + 10  # the kernel detaches it some time after
    while link.attached and time.monotonic() < end:
        time.sleep(0.01)
    assert not link.attached
    link.detach()


@pytest.fixture
def exclusive(start, folders):
    """A function: flags -> attaches a program to the upper cgroup as nothing else may, but for what they allow."""
    bpf = start("on_connect4")
    fd = os.open(folders[0], os.O_RDONLY)
    kind = int(AttachType.CGROUP_INET4_CONNECT)

    def attach(flags):
        from struct import pack

        bpf_call.bpf(bpf_call.PROG_ATTACH, pack("=IIII", fd, bpf.progs.on_connect4.fd, kind, flags))
        return bpf.progs.on_connect4

    yield attach
    from bpfloader.libbpf.library import library

    library().bpf_prog_detach2(bpf.progs.on_connect4.fd, fd, kind)
    os.close(fd)


@pytest.mark.parametrize(("flags", "place", "said"), [(0, 0, "beside"), (0, 1, "below"), (1, 0, "beside"), (1, 1, "")])
def test_a_program_that_shuts_out_others_is_named(exclusive, folders, flags, place, said):
    """The kernel says EPERM, which no privilege would change (runc #2366, cilium/ebpf #980)."""
    program = exclusive(flags)
    if not said:  # BPF_F_ALLOW_OVERRIDE
        program.attach(folders[place]).detach()
        return
    with pytest.raises(bpfloader.AttachError) as caught:
        program.attach(folders[place])
    assert caught.value.errno == errno.EPERM
    assert f"{folders[0]} has the program on_connect4 (id {program.info.id}), attached so as to allow no" in caught.value.what
    assert caught.value.what.endswith(f"other {said} it")
    assert f"bpftool cgroup show {folders[0]}" in caught.value.fix
