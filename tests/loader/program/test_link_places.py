"""Where a link attaches, in words: of each kind that this kernel attaches."""

import os

import bpfloader
import pytest
from bpfloader.kernel import host
from bpfloader.kernel import link_places
from bpfloader.kernel.link_places import PLACES, LinkDetails, cgroup_path, link_place
from bpfloader.kernel.link_type import LinkType


def place(link):
    found = link_place(link.fd)
    assert found.id == link.id
    return found.place


def test_tracepoints_and_cgroups(loaded, cgroup):
    assert place(loaded.progs.on_enter.attach()) == "raw_tp sys_enter"
    link = loaded.progs.on_connect.attach(cgroup)
    assert place(link) == f"cgroup_inet4_connect {cgroup}"
    assert cgroup_path(os.stat(cgroup).st_ino) == cgroup and cgroup_path((1 << 32) - 1) == ""


def test_a_cgroup_of_a_kernel_of_32_bits(cgroup, monkeypatch):
    monkeypatch.setattr(link_places, "INODE_MASK", 0xFFFFFFFF)
    assert cgroup_path(1 << 32 | os.stat(cgroup).st_ino) == cgroup


def test_iterators(start, attached):
    bpf = start("list_tasks")
    assert place(attached(bpf.progs.list_tasks.attach)) == "iter task"


def test_interfaces(loaded, own_network):
    def run():
        index = 1  # lo
        assert place(loaded.progs["pass"].attach("lo", mode="generic")) == f"xdp lo (index {index})"
        link = loaded.progs.emit.attach("lo", "ingress")
        if link.id:  # a kernel without tcx has a filter, which is no link
            assert place(link) == f"tcx_ingress lo (index {index})"
            (found,) = (each for each in bpfloader.programs() if each.info.id == loaded.progs.emit.info.id)
            assert found.attached == (f"tcx_ingress lo (index {index})",)

    own_network(run)


def test_probes(start, binary, attached):
    bpf = start("on_uprobe")
    link = attached(bpf.progs.on_uprobe.attach, binary, "work")
    try:
        said = place(link)
    except bpfloader.StateError as error:
        pytest.skip(str(error))
    if host.kernel_is_before("6.6"):
        assert said == ""
    else:
        assert said.startswith(f"uprobe {binary}+0x")


class Made(LinkDetails):
    """A link's description as the kernel would write it."""

    def __init__(self, union: bytes, text: str = "name"):
        self._bytes, self._said = bytearray(16) + union + bytes(200), text

    def text(self, pointer=0, length=None):
        return self._said


@pytest.mark.parametrize(
    "kind, numbers, says",
    [
        (LinkType.PERF_EVENT, (3, 0, 0, 0, 5, 16), "kprobe name+0x10"),
        (LinkType.PERF_EVENT, (4, 0, 0, 0, 5, 0), "kretprobe name"),
        (LinkType.PERF_EVENT, (5, 0, 0, 0, 5, 0), "tracepoint name"),
        (LinkType.PERF_EVENT, (6, 0, 7, 0, 1, 0), "perf_event type 1 config 0x7"),
        (LinkType.PERF_EVENT, (0, 0, 0, 0, 0, 0), ""),
        (LinkType.KPROBE_MULTI, (0, 0, 12, 1), "kretprobe.multi 12 functions"),
        (LinkType.UPROBE_MULTI, (0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0), "uprobe.multi name 3 places"),
        (LinkType.UPROBE_MULTI, (0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 1, 77), "uretprobe.multi name 3 places of process 77"),
        (LinkType.NETFILTER, (2, 1, 0xFFFFFF80, 0), "netfilter ipv4 input priority -128"),
        (LinkType.NETFILTER, (99, 99, 5, 0), "netfilter 99 99 priority 5"),
        (LinkType.STRUCT_OPS, (41,), "struct_ops map 41"),
        (LinkType.SOCKMAP, (41, 38), "sk_skb_verdict map 41"),
        (LinkType.NETKIT, (0, 54), "netkit_primary no interface: it has gone, or the link was detached"),
        (LinkType.TRACING, (24, 0, 0), "fentry"),
        (LinkType.TRACING, (999, 0, 0), "attach type 999"),
        (LinkType.NETNS, (1, 36), "sk_lookup network namespace 1"),
        (LinkType.CGROUP, (0xFFFFFFFF, 0xFFFFFFF, 9), "cgroup_inet6_bind cgroup 1152921504606846975"),
    ],
)
def test_kinds_that_few_kernels_attach(kernel, kind, numbers, says):
    union = b"".join(number.to_bytes(4, "little") for number in numbers)
    assert PLACES[kind](Made(union)) == says
