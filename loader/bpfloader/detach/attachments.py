"""Lists what is attached to the interfaces of this network namespace, and takes it away."""

from __future__ import annotations

import contextlib
import ctypes
import errno
from collections.abc import Iterable, Iterator
from typing import NamedTuple, Union

from ..errors import COMMAND, AttachError, CallError, PrivilegeError, errno_text
from ..kernel.attach_type import AttachType
from ..kernel.bpf import query_programs
from ..kernel.holders import Holders, Process, holders
from ..kernel.link_type import LinkType
from ..kernel.netlink import (
    PARENTS,
    Filter,
    XdpProgramId,
    filters,
    ingress_qdisc,
    interface_name,
    remove_filter,
    remove_xdp,
    xdp_programs,
)
from ..kernel.objects import link_infos, opened, program_name
from ..libbpf.library import library

# The ways to attach beside XDP and filters, and how the places are called.
PLACES = {
    AttachType.TCX_INGRESS: "tcx ingress",
    AttachType.TCX_EGRESS: "tcx egress",
    AttachType.NETKIT_PRIMARY: "netkit primary",
    AttachType.NETKIT_PEER: "netkit peer",
}
MAX_PROGRAMS = 64  # at one place: BPF_MPROG_MAX of linux/bpf_mprog.h


class TcxProgramId(NamedTuple):
    """A program of tcx or netkit: the interface's index, the way to attach, the program's id, its link's id or 0."""

    interface: int
    attach_type: AttachType
    program: int
    link: int


class XdpLinkId(NamedTuple):
    """An XDP program that a link attaches."""

    interface: int
    mode: str
    program: int
    link: int


Hook = Union[TcxProgramId, XdpLinkId, XdpProgramId, Filter]


class Attachment(NamedTuple):
    """A program at an interface. `kind` is "xdp" or "tc", `place` says where and how, `hook` is what to remove.

    `owners` are the processes that hold the link or, where there is none, the program.
    """

    kind: str
    interface: str
    place: str
    program: int
    name: str
    owners: tuple[Process, ...]
    hook: Hook

    def names_program(self, wanted: str) -> bool:
        """Returns True if it is the program of that name or id; of a name the kernel itself keeps 15 characters."""
        return wanted in (self.name, self.name[:15], str(self.program))


def attachments(held: Holders | None = None) -> list[Attachment]:
    """Lists the programs of XDP, tcx, netkit and BPF filters at all interfaces. Raises OSError, PrivilegeError.

    `held` are the processes that hold programs and links, if the caller knows them.
    """
    held, found = held or holders(), []
    for xdp in _xdp_programs():
        if isinstance(xdp, XdpLinkId):
            found.append(_attachment("xdp", xdp, f"xdp {xdp.mode}", held.links.get(xdp.link, [])))
        else:
            owners = held.programs.get(xdp.program, [])
            found.append(_attachment("xdp", xdp, f"xdp {xdp.mode}, by netlink", owners))
    for tcx in _tcx_programs():
        owners = held.links.get(tcx.link, []) if tcx.link else held.programs.get(tcx.program, [])
        found.append(_attachment("tc", tcx, PLACES[tcx.attach_type], owners))
    for at in _filters():
        place = f"filter {at.direction}, priority {at.priority}, handle {at.handle:#x}"
        found.append(_attachment("tc", at, place, held.programs.get(at.program, [])))
    return sorted(found, key=lambda each: (each.interface, each.kind))


def remove(gone: Attachment) -> None:
    """Takes an attachment away, whoever holds it. Raises AttachError, PrivilegeError."""
    try:
        if isinstance(gone.hook, (TcxProgramId, XdpLinkId)) and gone.hook.link:
            with opened("link", gone.hook.link) as fd:
                library().bpf_link_detach(fd)
        elif isinstance(gone.hook, TcxProgramId):
            with opened("prog", gone.hook.program) as fd:
                library().bpf_prog_detach2(fd, gone.hook.interface, gone.hook.attach_type)
        elif isinstance(gone.hook, XdpProgramId):
            remove_xdp(gone.hook)
        elif isinstance(gone.hook, Filter):
            remove_filter(gone.hook)
    except (CallError, OSError) as error:
        number = error.errno or 0
        if number in (errno.ENOENT, errno.ENOLINK, errno.ENODEV):  # it has gone meanwhile
            return
        what = f"can't take {gone.name} away from {gone.interface} ({errno_text(number)})"
        if number == errno.EPERM:
            raise PrivilegeError(what, fix="run as root", errno=number) from None
        fix = f"list what is there, and end the process that holds it: {COMMAND} detach"
        raise AttachError(what, fix=fix, errno=number) from None


def _attachment(kind: str, hook: Hook, place: str, owners: Iterable[Process]) -> Attachment:
    name = program_name(hook.program)
    return Attachment(kind, interface_name(hook.interface), place, hook.program, name, tuple(owners), hook)


def _xdp_programs() -> Iterator[XdpLinkId | XdpProgramId]:
    """Yields the XDP programs of all interfaces, with the id of the link where one attaches them."""
    programs = xdp_programs()
    found = link_infos() if programs else ()
    links = {(each.ifindex, each.prog_id): each.id for each in found if each.type == LinkType.XDP}
    for each in programs:
        link = links.get((each.interface, each.program))
        yield XdpLinkId(*each, link) if link else each


def _tcx_programs() -> Iterator[TcxProgramId]:
    """Yields the programs of tcx and netkit at all interfaces (BPF_PROG_QUERY); none on a kernel without them."""
    from socket import if_nameindex

    ids, links = (ctypes.c_uint32 * MAX_PROGRAMS)(), (ctypes.c_uint32 * MAX_PROGRAMS)()
    for index, _ in if_nameindex():
        for kind in PLACES:
            ctypes.memset(ids, 0, ctypes.sizeof(ids))
            ctypes.memset(links, 0, ctypes.sizeof(links))
            with contextlib.suppress(OSError):
                query_programs(index, kind, ids, links)
                yield from (TcxProgramId(index, kind, *pair) for pair in zip(ids, links) if pair[0])


def _filters() -> Iterator[Filter]:
    """Yields the filters of all interfaces; those of an ingress qdisc once."""
    from socket import if_nameindex

    for index, _ in if_nameindex():
        kind = ingress_qdisc(index)
        for direction in PARENTS if kind == "clsact" else ("ingress",) if kind else ():
            yield from filters(index, direction)
