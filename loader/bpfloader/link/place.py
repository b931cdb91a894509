"""Tells where a link attaches its program in numbers and names: two links of one place are alike in it.

kernel/link_places.py has the same in words.
"""

from __future__ import annotations

import ctypes
from typing import Union

from ..kernel.bpf import query_programs
from ..kernel.link_places import LinkDetails
from ..kernel.link_type import LinkType
from ..kernel.netlink import xdp_programs
from ..kernel.objects import info_by_fd
from ..libbpf.structs import LinkInfo

# The links whose program the kernel replaces (`update_prog` of struct bpf_link_ops).
UPDATABLE = frozenset((
    LinkType.CGROUP, LinkType.ITER, LinkType.NETNS, LinkType.XDP, LinkType.TCX, LinkType.NETKIT, LinkType.SOCKMAP,
))  # fmt: skip
KPROBE, KRETPROBE, TRACEPOINT = 3, 4, 5  # enum bpf_perf_event_type
# The fields that tell the place, of the union in struct bpf_link_info (linux/bpf.h).
FIELDS = {
    LinkType.CGROUP: "QI",  # cgroup_id, attach_type
    LinkType.NETNS: "II",  # netns_ino, attach_type
    LinkType.XDP: "I",  # ifindex
    LinkType.TCX: "II",  # ifindex, attach_type
    LinkType.NETKIT: "II",
    LinkType.STRUCT_OPS: "I",  # map_id
    LinkType.NETFILTER: "IIiI",  # pf, hooknum, priority, flags
}
PERISHABLE = frozenset((LinkType.CGROUP, LinkType.NETNS, LinkType.XDP, LinkType.TCX, LinkType.NETKIT))
MAX_PROGRAMS = 64  # of an interface in one direction: BPF_MPROG_MAX of linux/bpf_mprog.h
# A link's type, and what tells the place: an interface's index, a function's name …
Place = tuple[Union[int, str], ...]
IN_THE_PROGRAM: Place = ()  # the place of a program whose target the verifier knows (tp_btf, fentry, lsm)


def has_gone(fd: int) -> bool:
    """Returns True for a link whose interface, cgroup or network namespace has gone: it attaches nothing any more."""
    kind, *where = place_of(fd)
    return kind in PERISHABLE and not where[0]


def xdp_mode(fd: int) -> str:
    """Returns the mode, such as "generic", of an XDP link at an interface of this network namespace; "" for another.

    Raises OSError.
    """
    wanted = (*place_of(fd)[1:], info_by_fd(fd, LinkInfo()).prog_id)
    return next((each.mode for each in xdp_programs() if (each.interface, each.program) == wanted), "")


def in_this_network(fd: int) -> bool:
    """Returns False for a link at an interface of another network namespace than the calling thread's.

    The kernel tells the interface's index alone, which each namespace counts for itself. So the interface that has the
    index here is asked for the link's program.
    """
    info = info_by_fd(fd, LinkInfo())
    kind, *where = place_of(fd)
    try:
        if kind == LinkType.XDP:
            return bool(xdp_mode(fd))
        if kind in (LinkType.TCX, LinkType.NETKIT):
            ids = (ctypes.c_uint32 * MAX_PROGRAMS)()
            query_programs(int(where[0]), int(where[1]), ids)
            return info.prog_id in ids
    except OSError:  # the kernel doesn't tell, as one before 6.6
        pass
    return True


def place_of(fd: int) -> Place:
    """Returns where a link attaches: its type, then what the kernel tells of its place, if it does. Raises CallError.

    An interface that has gone has the index 0, a cgroup the id 0.
    """
    link = LinkDetails(fd)
    if link.type == LinkType.RAW_TRACEPOINT:
        return link.type, link.text()
    if link.type == LinkType.PERF_EVENT:
        (event,), (offset,) = link.numbers("I"), link.numbers("I", 20)
        named = event in (KPROBE, KRETPROBE, TRACEPOINT)
        return (link.type, event, *((link.text(8), offset) if named else ()))
    return (link.type, *(link.numbers(FIELDS[link.type]) if link.type in FIELDS else ()))
