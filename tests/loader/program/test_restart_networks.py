"""A daemon that starts again in a network namespace: its pinned link may be at the interface of another one."""

import contextlib
import errno
import os

import bpfloader
import pytest
from compiling import compile_text
from interfaces import make_interface

PROGRAMS = """
#include "mini_bpf.h"
char LICENSE[] SEC("license") = "GPL";
__u64 seen;
static __noinline int count(int verdict) { __atomic_fetch_add(&seen, 1, __ATOMIC_RELAXED); return verdict; }
SEC("?xdp") int on_xdp(void *ctx) { return count(2); }
SEC("?tc") int on_tc(void *ctx) { return count(0); }
SEC("?netkit/primary") int on_netkit(void *ctx) { return count(-1); }
SEC("?netfilter") int on_hook(void *ctx) { return count(1); }
SEC("?netfilter") int on_hook_too(void *ctx) { count(1); return count(1); }
"""
TARGETS = {"on_xdp": ("lo",), "on_tc": ("lo", "ingress"), "on_netkit": ("kit0",), "on_hook": ("input",)}
OPTIONS = {"on_xdp": {"mode": "generic"}, "on_hook": {"priority": -100}}


@pytest.fixture(scope="module")
def programs(clang) -> bytes:
    return compile_text(clang, PROGRAMS)


@pytest.fixture
def folder(bpffs):
    return str(bpffs / "daemon")


@pytest.fixture
def start(programs, folder, attached):
    """A function that is one start of the daemon: how it came by its link. The daemon leaves the link to its pin."""

    def run(name, *, call=attached, **options):
        with bpfloader.Object.open(programs) as bpf:
            bpf.select([name])
            attached(bpf.load, pin=folder)
            path = f"{folder}/links/{name.removesuffix('_too')}"
            target = TARGETS[name.removesuffix("_too")]
            link = call(bpf.progs[name].attach_pinned, path, *target, **{**OPTIONS.get(name, {}), **options})
            return link.takeover

    return run


@pytest.fixture
def kept_network(own_network):
    """A function that calls another in a network namespace of its own, which stays until the test's end."""
    with contextlib.ExitStack() as stack:

        def call(function):
            def run():
                stack.callback(os.close, os.open("/proc/thread-self/ns/net", os.O_RDONLY))
                return function()

            return own_network(run)

        yield call


@pytest.mark.parametrize("name", TARGETS)
def test_the_same_interface_of_another_namespace_is_another_target(name, start, kept_network, attached):
    """Each namespace counts its interfaces from 1: the kernel's index of `lo` tells nothing of whose it is."""

    def run():
        if name == "on_netkit":
            attached(make_interface, "kit0", "netkit")
        return [start(name), start(name)]

    assert kept_network(run) == ["attached", "kept"]
    assert kept_network(run) == ["replaced", "kept"]


def test_a_namespace_that_may_not_be_asked_is_taken_for_the_same(start, kept_network, monkeypatch):
    """Without CAP_NET_ADMIN, as it is in the attach that would follow."""

    def denied(*_):
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    def run():
        first = start("on_tc")
        monkeypatch.setattr("bpfloader.link.place.query_programs", denied)
        return [first, start("on_tc")]

    assert kept_network(run) == ["attached", "kept"]


def test_a_netfilter_program_is_replaced_by_one_of_another_priority(start, kept_network):
    """The kernel can't update such a link, and takes no second program of its priority."""

    def run():
        assert [start("on_hook", priority=each) for each in (-100, -99, -99)] == ["attached", "replaced", "kept"]
        with pytest.raises(bpfloader.AttachError, match="can't update netfilter links.*another priority") as caught:
            start("on_hook_too", call=lambda attach, *target, **options: attach(*target, **options), priority=-99)
        assert caught.value.errno == errno.EBUSY
        assert start("on_hook_too", priority=-98) == "replaced"

    kept_network(run)
