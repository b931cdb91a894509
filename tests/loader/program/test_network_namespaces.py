"""Attachments that are ended or taken over by a thread in another network namespace than they are in."""

import os
import time

import bpfloader
import pytest
from bpfloader.kernel.netlink import filters
from bpfloader.kernel.network_namespace import connected_in, network_namespace
from test_network_programs import seen

LO = 1  # the index of lo in each of them
PLACE = {"priority": 7, "handle": 1}


def attached_elsewhere(own_network, bpf, keep: bool):
    """Attaches a filter in a network of its own; returns its link, the network's number, and what keeps that or -1."""

    def run():
        link = bpf.progs.on_tc.attach("lo", "ingress", **PLACE)
        kept = os.open("/proc/thread-self/ns/net", os.O_RDONLY) if keep else -1
        return link, network_namespace(), kept

    return own_network(run)


def own_network_has_gone(number: int) -> bool:
    """Waits for the end of the thread that was in it, of which Python's join knows a moment before the kernel does."""
    end = time.monotonic() + 10
    while time.monotonic() < end:
        if (netlink := connected_in(number)) is None:
            return True
        netlink.close()
        time.sleep(0.01)
    return False


@pytest.mark.parametrize("end", ["detach", "destroy"])
def test_a_filter_ends_where_it_began(start, attached, own_network, end):
    """Not at the interface of that index where its thread is now (bpfman #1402)."""

    def run():
        here, there = start("on_tc"), start("on_tc")
        attached(here.progs.on_tc.attach, "lo", "ingress", **PLACE)
        link, number, kept = attached_elsewhere(own_network, there, keep=True)
        assert link.attached
        with connected_in(number) as netlink:
            assert len(filters(LO, "ingress", netlink)) == 1
            (link.detach if end == "detach" else there.destroy)()
            assert filters(LO, "ingress", netlink) == []
        os.close(kept)
        assert len(filters(LO, "ingress")) == 1 and network_namespace() != number

    own_network(run)


def test_a_filter_keeps_no_network_alive(start, attached, own_network):
    """A container's interfaces end with it, though the daemon that watched them goes on."""

    def run():
        bpf = start("on_tc")
        attached(bpf.progs.on_tc.attach, "lo", "ingress", **PLACE)
        link, number, _ = attached_elsewhere(own_network, bpf, keep=False)
        assert own_network_has_gone(number)
        link.detach()
        assert len(filters(LO, "ingress")) == 1

    own_network(run)


def test_a_filter_that_another_has_replaced_stays(start, attached, own_network):
    """An upgrade's new process takes the place, and then the old one ends (cilium #44530 is of that kind)."""

    def run():
        old, new = start("on_tc"), start("on_tc")
        before = attached(old.progs.on_tc.attach, "lo", "ingress", **PLACE)
        link = new.progs.on_tc.attach("lo", "ingress", **PLACE, replace=True)
        assert link.attached and not before.attached
        old.destroy()
        assert [each.program for each in filters(LO, "ingress")] == [new.progs.on_tc.info.id]
        link.detach()
        assert filters(LO, "ingress") == []

    own_network(run)


@pytest.mark.parametrize(("program", "arguments"), [("on_xdp", ()), ("on_tc", ("ingress",))])
def test_a_pinned_link_of_another_network_is_no_link_of_this_one(start, attached, own_network, bpffs, program, arguments):
    """Interfaces of two networks have the same index: the kernel would replace the program there, and none is here."""
    path = f"{bpffs}/link"

    def take_over():
        bpf = start(program)
        link = attached(bpf.progs[program].attach_pinned, path, "lo", *arguments)
        return link.takeover, seen(bpf)

    def run():
        assert take_over() == ("attached", 1)
        takeover, packets = take_over()
        assert takeover in ("kept", "updated")
        assert own_network(take_over) == ("replaced", 1)

    own_network(run)
    with bpfloader.open_link(path) as link:
        link.detach()
