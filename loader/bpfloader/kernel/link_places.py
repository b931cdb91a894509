"""Tells in words where a link attaches its program: `kprobe tcp_connect`, `tcx_ingress eth0 (index 2)`.

The places of fields are those of the union in struct bpf_link_info (linux/bpf.h), which begins at byte 16.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import struct
from collections.abc import Callable
from itertools import islice
from typing import NamedTuple

from ..errors import CallError
from ..libbpf.library import library
from ..text import text_of
from .attach_type import AttachType
from .host import mounts
from .kernel_btf import type_name
from .link_type import LinkType
from .netlink import interface_name
from .objects import link_type, program_name

UNION, SIZE = 16, 256  # bytes before the union, and in all: later kernels have longer ones
MAX_TEXT = 4096  # bytes of a path, the longest text
MAX_CGROUPS = 100_000  # folders that are looked at for a cgroup's id
# Of a kernel of 32 bits, an inode's number is the low half of the id (kernfs_id_ino of linux/kernfs.h).
INODE_MASK = 0xFFFFFFFF if struct.calcsize("P") == 4 else 0xFFFFFFFFFFFFFFFF
# enum bpf_perf_event_type -> as SEC() spells it.
PERF_EVENTS = {1: "uprobe", 2: "uretprobe", 3: "kprobe", 4: "kretprobe", 5: "tracepoint"}
TRACING = {
    AttachType.TRACE_RAW_TP: "tp_btf", AttachType.TRACE_FENTRY: "fentry", AttachType.TRACE_FEXIT: "fexit",
    AttachType.MODIFY_RETURN: "fmod_ret", AttachType.LSM_MAC: "lsm", AttachType.TRACE_FSESSION: "fsession",
    AttachType.TRACE_FENTRY_MULTI: "fentry.multi", AttachType.TRACE_FEXIT_MULTI: "fexit.multi",
    AttachType.TRACE_FSESSION_MULTI: "fsession.multi",
}  # fmt: skip
FAMILIES = {2: "ipv4", 10: "ipv6"}  # sys/socket.h
HOOKS = "prerouting", "input", "forward", "output", "postrouting"  # enum nf_inet_hooks of linux/netfilter.h
RETURN = 1  # BPF_F_KPROBE_MULTI_RETURN and BPF_F_UPROBE_MULTI_RETURN


class LinkPlace(NamedTuple):
    """A link: its id, its type (`xdp`, `perf_event`), its program's id and its place, which is empty if unknown."""

    id: int
    type: str
    program: int
    place: str


class LinkDetails:
    """The kernel's description of a link's descriptor, asked for anew where a text's address is to be in it."""

    def __init__(self, fd: int):
        self._fd = fd
        self._bytes = self._ask(bytearray(SIZE))
        self.type, self.id, self.program = struct.unpack_from("=III", self._bytes)

    def _ask(self, asked: bytearray) -> bytearray:
        buffer, size = (ctypes.c_char * SIZE).from_buffer(asked), ctypes.c_uint(SIZE)
        library().bpf_obj_get_info_by_fd(self._fd, ctypes.addressof(buffer), ctypes.byref(size))
        return asked

    def numbers(self, layout: str, at: int = 0) -> tuple[int, ...]:
        """Returns fields of the union, by struct's letters."""
        return struct.unpack_from(f"={layout}", self._bytes, UNION + at)

    def text(self, pointer: int = 0, length: int | None = None) -> str:
        """Returns the text whose address and length belong into the union there. Raises CallError.

        The length follows the address unless its place is given.
        """
        room, asked = ctypes.create_string_buffer(MAX_TEXT), bytearray(SIZE)
        struct.pack_into("=Q", asked, UNION + pointer, ctypes.addressof(room))
        struct.pack_into("=I", asked, UNION + (pointer + 8 if length is None else length), MAX_TEXT)
        self._ask(asked)
        return text_of(room.value)


def link_place(fd: int) -> LinkPlace:
    """Describes the link of a descriptor. Raises CallError."""
    details, place = LinkDetails(fd), ""
    with contextlib.suppress(CallError, OSError):  # an older kernel may not tell
        if teller := PLACES.get(details.type):
            place = teller(details)
    return LinkPlace(details.id, link_type(details.type), details.program, place)


def attach_type_name(number: int) -> str:
    """Returns the name of an attach type in lower case, or its number where it is younger than this loader."""
    return AttachType(number).name.lower() if number in list(AttachType) else f"attach type {number}"


def _raw_tracepoint(link: LinkDetails) -> str:
    return f"raw_tp {link.text()}"


def _tracing(link: LinkDetails) -> str:
    kind, target, number = link.numbers("III")
    if kind in TRACING:
        return f"{TRACING[AttachType(kind)]} {type_name(target, number).removeprefix('btf_trace_')}".rstrip()
    return f"freplace {program_name(target)} (id {target})" if target and not kind else attach_type_name(kind)


def _tracing_multi(link: LinkDetails) -> str:
    kind, count = link.numbers("II")
    return f"{TRACING.get(AttachType(kind), kind)} {count} functions"


def _cgroup(link: LinkDetails) -> str:
    number, kind = link.numbers("QI")
    return f"{attach_type_name(kind)} {cgroup_path(number) or f'cgroup {number}'}"


def _iter(link: LinkDetails) -> str:
    return f"iter {link.text()}"


def _netns(link: LinkDetails) -> str:
    inode, kind = link.numbers("II")
    here = " (this one)" if os.stat("/proc/thread-self/ns/net").st_ino == inode else ""
    return f"{attach_type_name(kind)} network namespace {inode}{here}"


def _xdp(link: LinkDetails) -> str:
    return f"xdp {_interface(*link.numbers('I'))}"


def _tcx(link: LinkDetails) -> str:
    index, kind = link.numbers("II")
    return f"{attach_type_name(kind)} {_interface(index)}"


def _interface(index: int) -> str:
    """Names an interface by its index, which in another network namespace may be that of another one here."""
    return (
        f"{interface_name(index)} (index {index})" if index else "no interface: it has gone, or the link was detached"
    )


def _struct_ops(link: LinkDetails) -> str:
    return f"struct_ops map {link.numbers('I')[0]}"


def _netfilter(link: LinkDetails) -> str:
    family, hook, priority, _ = link.numbers("IIiI")
    where = HOOKS[hook] if hook < len(HOOKS) else str(hook)
    return f"netfilter {FAMILIES.get(family, family)} {where} priority {priority}"


def _kprobe_multi(link: LinkDetails) -> str:
    count, flags = link.numbers("II", 8)
    return f"{'kretprobe' if flags & RETURN else 'kprobe'}.multi {count} functions"


def _uprobe_multi(link: LinkDetails) -> str:
    count, flags, pid = link.numbers("III", 36)
    place = f"{'uretprobe' if flags & RETURN else 'uprobe'}.multi {link.text(0, 32)} {count} places"
    return f"{place} of process {pid}" if pid else place


def _perf_event(link: LinkDetails) -> str:
    (kind,) = link.numbers("I")
    if not kind:  # a kernel before 6.6 doesn't say
        return ""
    if kind not in PERF_EVENTS:
        config, type_ = link.numbers("QI", 8)
        return f"perf_event type {type_} config {config:#x}"
    name, (offset,) = link.text(8), link.numbers("I", 20)
    if kind == 5:
        return f"tracepoint {name}"
    return f"{PERF_EVENTS[kind]} {name}+{offset:#x}" if offset else f"{PERF_EVENTS[kind]} {name}"


def _sockmap(link: LinkDetails) -> str:
    number, kind = link.numbers("II")
    return f"{attach_type_name(kind)} map {number}"


PLACES: dict[int, Callable[[LinkDetails], str]] = {
    LinkType.RAW_TRACEPOINT: _raw_tracepoint, LinkType.TRACING: _tracing, LinkType.CGROUP: _cgroup,
    LinkType.ITER: _iter, LinkType.NETNS: _netns, LinkType.XDP: _xdp, LinkType.TCX: _tcx, LinkType.NETKIT: _tcx,
    LinkType.STRUCT_OPS: _struct_ops, LinkType.NETFILTER: _netfilter, LinkType.KPROBE_MULTI: _kprobe_multi,
    LinkType.UPROBE_MULTI: _uprobe_multi, LinkType.PERF_EVENT: _perf_event, LinkType.SOCKMAP: _sockmap,
    LinkType.TRACING_MULTI: _tracing_multi,
}  # fmt: skip


def cgroup_path(number: int) -> str:
    """Finds the folder of a cgroup by its id, which tells its inode's number; empty where it isn't below this mount."""
    root = mounts(["cgroup2"]).get("cgroup2", "")
    for place, _, _ in islice(os.walk(root), MAX_CGROUPS) if root else ():
        with contextlib.suppress(OSError):
            if os.stat(place).st_ino == number & INODE_MASK:
                return place
    return ""
