"""Programs at interfaces, sockets and namespaces: each attaches and counts real packets, in a network of its own."""

import contextlib
import socket

import bpfloader
import pytest
from bpfloader.kernel.host import kernel_is_before
from bpfloader.kernel.netlink import xdp_programs
from interfaces import make_interface, remove_interface, set_address, switch_on
from probing import ends


def talk(size: int = 100) -> bytes:
    """Sends one UDP packet over lo; returns what arrives of it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(2)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"x" * size, receiver.getsockname())
        return receiver.recv(1000)


@contextlib.contextmanager
def connected():
    """Connects over lo by TCP; yields the two ends."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        with socket.create_connection(server.getsockname()) as client:
            peer, _ = server.accept()
            with peer:
                peer.settimeout(2)
                yield client, peer


def seen(bpf, function=talk) -> int:
    """Returns how many packets the program counts while a function runs."""
    before = bpf.bss.hits
    function()
    return bpf.bss.hits - before


@pytest.mark.parametrize("mode", ["", "generic"])
def test_xdp(start, own_network, mode):
    def run():
        bpf = start("on_xdp", "on_xdp_too")
        link = bpf.progs.on_xdp.attach("lo", mode=mode)
        assert seen(bpf) == 1 and link.id and bpf.links["on_xdp"] is link
        with pytest.raises(bpfloader.AttachError, match="EBUSY.*another program is attached there"):
            bpf.progs.on_xdp_too.attach(socket.if_nametoindex("lo"))
        link.update(bpf.progs.on_xdp_too)
        assert seen(bpf) == 1 and link.program == "on_xdp_too" and bpf.links.on_xdp is None
        link.detach()
        assert ends(seen, bpf)
        with pytest.raises(bpfloader.StateError, match="the link of on_xdp_too is detached; attach the program again"):
            link.update(bpf.progs.on_xdp)

    own_network(run)


def test_an_interface_that_goes(start, own_network):
    """A container's end takes its peer with it: the links stay, at nothing."""

    def run():
        make_interface("vet0", "veth")
        bpf = start("on_xdp", "on_xdp_too", "on_tc")
        link = bpf.progs.on_xdp.attach("vet0", mode="generic")
        filters = [bpf.progs.on_tc.attach("vet0", "ingress"), bpf.progs.on_tc.attach("vet0", "egress", priority=5)]
        assert all(each.attached for each in (link, *filters))
        remove_interface("vet0")
        assert not any(each.attached for each in (link, *filters))
        with pytest.raises(bpfloader.AttachError, match="ENOLINK.*what it was attached to has gone .*: detach it, and attach the program anew"):
            link.update(bpf.progs.on_xdp_too)
        for each in (link, *filters):
            each.detach()
            assert not each.attached

    own_network(run)


def test_a_pinned_link_in_another_mode(start, own_network, bpffs):
    """The update behind the link would keep the mode without a word (cilium #10958 removes the program first)."""

    def run():
        make_interface("vet0", "veth")
        bpf, path = start("on_xdp"), bpffs / "xdp"
        for mode, takeover in (("generic", "attached"), ("generic", "kept"), ("", "kept")):
            link = bpf.progs.on_xdp.attach_pinned(path, "vet0", mode=mode)
            assert link.takeover in (takeover, "updated")
        with pytest.raises(bpfloader.AttachError, match=f"{path} is in generic mode, which stays; detach it first: .* --pin {path}"):
            bpf.progs.on_xdp.attach_pinned(path, "vet0", mode="native")
        bpfloader.open_link(path).detach()
        link = bpf.progs.on_xdp.attach_pinned(path, "vet0", mode="native")
        assert link.takeover == "attached" and [each.mode for each in xdp_programs()] == ["native"]
        link.unpin()

    own_network(run)


def test_xdp_native_where_the_driver_has_none(start, own_network):
    bpf = start("on_xdp")
    with pytest.raises(bpfloader.AttachError, match="can't attach on_xdp"):
        own_network(lambda: bpf.progs.on_xdp.attach("lo", mode="native"))
    run = bpf.progs.on_xdp.test_run(bytes(64), repeat=10)
    assert run.value == 2 and run.data == bytes(64) and bpf.bss.hits == 10


def test_tcx(start, attached, own_network):
    def run():
        bpf = attached(start, "on_tcx", "on_tcx_too")
        link = attached(bpf.progs.on_tcx.attach, "lo")
        assert seen(bpf) == 1
        with pytest.raises(ValueError, match="give one of them"):
            bpf.progs.on_tcx.attach("lo", before=link, after=link)
        other = bpf.progs.on_tcx_too.attach("lo", before=link)
        other.detach()
        other = bpf.progs.on_tcx_too.attach("lo", after=bpf.progs.on_tcx)
        other.detach()
        other = bpf.progs.on_tcx_too.attach("lo", first=True)
        assert seen(bpf) == 2
        with pytest.raises(bpfloader.AttachError):
            bpf.progs.on_tcx.attach("lo", revision=1)
        with pytest.raises(ValueError, match="its place is told by before, after or first"):
            bpf.progs.on_tcx.attach("lo", priority=3)
        other.detach()
        link.update(bpf.progs.on_tcx_too)
        assert seen(bpf) == 1

    own_network(run)


def test_netkit(start, attached, own_network):
    def run():
        bpf = attached(start, "on_netkit")
        make_interface("kit0", "netkit")
        set_address("kit0", "10.9.9.1")
        for name in ("kit0", "nk0"):  # the program is the primary's, kit0's, which sends only while both ends are up
            switch_on(name)
        attached(bpf.progs.on_netkit.attach, "kit0")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"x", ("10.9.9.2", 9))
        assert bpf.bss.hits

    own_network(run)


def test_netfilter(start, attached, own_network):
    def run():
        bpf = attached(start, "on_netfilter")
        link = attached(bpf.progs.on_netfilter.attach, "input", priority=-100)
        assert seen(bpf) == 1 and link.id
        with pytest.raises(bpfloader.AttachError):
            bpf.progs.on_netfilter.attach("input", priority=-100)
        bpf.progs.on_netfilter.attach("output", family="ipv4", priority=7)
        assert seen(bpf) == 2
        link.detach()
        assert seen(bpf) == 1

    own_network(run)


def test_a_socket_filter(start):
    bpf = start("on_socket")
    with connected() as (client, peer):
        link = bpf.progs.on_socket.attach(peer)
        client.sendall(b"hello")
        assert peer.recv(10) == b"hello" and bpf.bss.hits >= 1
        link.detach()
        before = bpf.bss.hits
        client.sendall(b"again")
        assert peer.recv(10) == b"again" and bpf.bss.hits == before
        late = bpf.progs.on_socket.attach(peer)
    late.detach()  # the socket is closed: that's no error
    with pytest.raises(bpfloader.AttachError, match="EBADF"):
        bpf.progs.on_socket.attach(peer)


def test_a_filter_that_took_another_s_place_stays(start):
    """A socket has one: the end of the first one would take away the second."""
    first, second = start("on_socket"), start("on_socket")
    with connected() as (client, peer):
        first.progs.on_socket.attach(peer)
        link = second.progs.on_socket.attach(peer)
        first.destroy()
        client.sendall(b"hello")
        assert peer.recv(10) == b"hello" and second.bss.hits >= 1
        link.detach()
        before = second.bss.hits
        client.sendall(b"again")
        assert peer.recv(10) == b"again" and second.bss.hits == before


def test_a_group_of_sockets(start):
    bpf = start("on_reuseport")
    with contextlib.ExitStack() as stack:
        group = [stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(2)]
        for each in group:
            each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        group[0].bind(("127.0.0.1", 0))
        group[1].bind(group[0].getsockname())
        link = bpf.progs.on_reuseport.attach(group[0])
        sender = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        sender.sendto(b"x", group[0].getsockname())
        assert bpf.bss.hits == 1
        link.detach()
        sender.sendto(b"x", group[0].getsockname())
        assert bpf.bss.hits == 1


def test_look_ups_of_sockets(start, own_network):
    def run():
        bpf = start("on_lookup")
        link = bpf.progs.on_lookup.attach("/proc/thread-self/ns/net")
        assert seen(bpf) == 1
        link.detach()
        assert ends(seen, bpf)

    own_network(run)


def test_the_flow_dissector(start, own_network):
    def run():
        bpf = start("on_flow")
        link = bpf.progs.on_flow.attach("/proc/thread-self/ns/net")
        with pytest.raises(bpfloader.AttachError, match="E2BIG.*no more programs can be attached there"):
            bpf.progs.on_flow.attach("/proc/thread-self/ns/net")
        run = bpf.progs.on_flow.test_run(bytes(12) + b"\x08\x00" + bytes(50))
        answer = 0 if kernel_is_before("6.1") else 129  # before, whether it was BPF_OK
        assert bpf.bss.hits == 1 and run.value == answer
        link.detach()

    own_network(run)


def test_a_program_that_took_another_s_place_at_a_map_stays(start, kinds):
    """The end of the first one was an error, ENOENT, in the place of nothing."""
    first = start("on_message")
    with kinds.open() as second:
        second.select(["on_message"])
        second.maps.sockets.reuse(first.maps.sockets)
        second.load()
        first.progs.on_message.attach(first.maps.sockets)
        second.progs.on_message.attach(second.maps.sockets)
        first.destroy()
        with connected() as (client, peer):
            second.maps.sockets[0] = client
            client.sendall(b"hello")
            assert peer.recv(10) == b"hello" and second.bss.hits >= 1


@pytest.mark.parametrize("name", ["on_message", "on_verdict"])
def test_sockets_in_a_map(start, name):
    bpf = start(name)
    link = bpf.progs[name].attach(bpf.maps.sockets)
    with connected() as (client, peer):
        bpf.maps.sockets[0] = client if name == "on_message" else peer
        client.sendall(b"hello")
        assert peer.recv(10) == b"hello" and bpf.bss.hits >= 1
    assert bpf.links[name] is link
    link.detach()
    before = bpf.bss.hits
    with connected() as (client, peer):
        bpf.maps.sockets[0] = client if name == "on_message" else peer
        client.sendall(b"hello")
        assert peer.recv(10) == b"hello" and bpf.bss.hits == before
