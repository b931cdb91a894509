"""Tells where a link attaches its program in numbers and names: two links of one place are alike in it.

kernel/link_places.py has the same in words.
"""

from __future__ import annotations

from typing import Union

from ..kernel.link_places import LinkDetails
from ..kernel.link_type import LinkType

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
}
# A link's type, and what tells the place: an interface's index, a function's name …
Place = tuple[Union[int, str], ...]
IN_THE_PROGRAM: Place = ()  # the place of a program whose target the verifier knows (tp_btf, fentry, lsm)


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
