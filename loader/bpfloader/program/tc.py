"""Programs in an interface's traffic control: tcx links, filters of a clsact qdisc, and netkit."""

from __future__ import annotations

import ctypes
import errno
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..diagnose.refusal import NO_CLSACT
from ..errors import COMMAND, ENOTSUPP, AttachError, CallError, errno_text, warn
from ..libbpf.library import library, require
from ..libbpf.log import captured
from ..libbpf.structs import LinkCreateOptions, PlacementOptions, TcHook, TcOptions, TcxPlace, sized
from ..link.base import FdLink, HookLink, Link
from ..signals import DeferredSignals
from .anchor import Neighbour, placement
from .base import Program
from .network import interface_index

if TYPE_CHECKING:
    import socket

    from ..kernel.netlink import Filter
    from ..link.place import Place
    from ..owner import Owner

ATTACH_POINTS = {"ingress": 1 << 0, "egress": 1 << 1}  # enum bpf_tc_attach_point of libbpf.h
BPF_TC_F_REPLACE = 1 << 0
TCX_SECTIONS = ("tcx/ingress", "tcx/egress", "tc/ingress", "tc/egress")
GONE = (errno.ENOENT, errno.EINVAL, errno.ENODEV)  # answers where a filter has gone with its qdisc or interface
# What a kernel without tcx answers: before 6.6, or built without CONFIG_NET_XGRESS.
NO_TCX = (errno.EINVAL, errno.EOPNOTSUPP, ENOTSUPP)


class TcProgram(Program):
    """SEC("tc"), SEC("tcx/ingress"), SEC("tcx/egress"): at an interface, by a tcx link (Linux 6.6) or a filter.

    SEC("classifier") and SEC("action") are older names of SEC("tc").
    """

    _names_target = False

    @property
    def is_tcx(self) -> bool:
        """True if its section makes it a tcx link and says the direction."""
        return self.section.removeprefix("?") in TCX_SECTIONS

    def attach(
        self,
        interface: str | int,
        direction: str = "",
        *,
        priority: int = 0,
        handle: int = 0,
        replace: bool = False,
        before: Neighbour = None,
        after: Neighbour = None,
        first: bool = False,
        revision: int = 0,
    ) -> Link:
        """Attaches to an interface's "ingress" or "egress"; a section such as `tcx/ingress` says which.

        By a tcx link, where the kernel has them (Linux 6.6): the program runs before all filters, `before` or `after`
        another program of tcx (a Program or a Link), `first`, or else last; with `revision`, the kernel refuses if the
        list has changed. Else, or with any of `priority`, `handle` and `replace`, by a filter: the first two are 1 or
        more, or 0 for the kernel's choice; `replace` replaces the filter that has both. A clsact qdisc is made where
        there is none, and stays. A filter lasts until a normal end of this process. Raises AttachError,
        PrivilegeError, StateError, LibraryError, ValueError.
        """
        place = placement(before, after, first, revision)
        placed, filtered = bool(place.flags or revision), bool(priority or handle or replace)
        if self.is_tcx:
            if filtered or direction not in ("", self.target):
                raise ValueError(f"{self.name} is a tcx program: its place is told by before, after or first")
            index = interface_index(self.name, interface)
            return self._link("attach_tcx", index, place, interface=index, link=True)
        if placed and filtered:
            raise ValueError(
                f"{self.name} is either a filter, placed by priority and handle, or a tcx link, "
                "placed by before, after and first"
            )
        if direction not in ATTACH_POINTS:
            raise ValueError(f'{self.name} is attached to "ingress" or "egress", not to {direction!r}')
        index = interface_index(self.name, interface)
        with self._owner.lock, DeferredSignals():
            self._warn_of_leftovers(index, direction)
            link = None if filtered else self._tcx_link(index, direction, place, placed)
            return link or self._filter(index, direction, priority, handle, replace)

    def _place(self, interface: str | int, direction: str = "", **_: object) -> Place | None:
        from ..kernel.attach_type import AttachType
        from ..kernel.link_type import LinkType

        egress = (direction or self.target) == "egress"
        kind = AttachType.TCX_EGRESS if egress else AttachType.TCX_INGRESS
        return LinkType.TCX, interface_index(self.name, interface), int(kind)

    def _tcx_link(self, index: int, direction: str, place: PlacementOptions, placed: bool) -> Link | None:
        """Attaches by a tcx link. Returns None where the kernel has none and the program has no place among others."""
        from ..kernel.attach_type import AttachType

        kind = AttachType.TCX_INGRESS if direction == "ingress" else AttachType.TCX_EGRESS
        if place.relative_fd or place.expected_revision:
            require("1.3", "places among tcx programs")
        tcx = TcxPlace(relative_fd=place.relative_fd, expected_revision=place.expected_revision)
        options = sized(LinkCreateOptions, flags=place.flags, tcx=tcx)
        try:
            fd = self._call("bpf_link_create", self.fd, index, kind, options, interface=index, link=True)
        except AttachError as error:
            if error.errno in NO_TCX and not placed:
                return None
            raise
        return FdLink(self._owner, self.name, fd)

    def _filter(self, index: int, direction: str, priority: int, handle: int, replace: bool) -> Link:
        hook = sized(TcHook, ifindex=index, attach_point=ATTACH_POINTS[direction])
        options = sized(TcOptions, prog_fd=self.fd, priority=priority, handle=handle)
        options.flags = BPF_TC_F_REPLACE if replace else 0
        self._make_qdisc(hook)
        self._require_egress(index, direction)
        self._call("bpf_tc_attach", hook, options, interface=index, link=False)
        return FilterLink(self._owner, self.name, index, direction, options)

    def _make_qdisc(self, hook: TcHook) -> None:
        """Makes the clsact qdisc, which holds both directions, unless it is there. Raises AttachError without clsact.

        Passes over any other error: bpf_tc_attach reports it better.
        """
        with captured():
            try:
                library().bpf_tc_hook_create(ctypes.byref(hook))
            except CallError as error:
                if error.errno == errno.ENOENT:
                    what = f"can't attach {self.name} ({errno_text(error.errno)}): {NO_CLSACT.what}"
                    raise AttachError(what, fix=NO_CLSACT.fix, errno=error.errno, program=self.name) from None

    def _require_egress(self, index: int, direction: str) -> None:
        """Raises AttachError where an `ingress` qdisc stands in clsact's place: it runs a filter of egress on ingress.

        The kernel makes no clsact beside it (both are at TC_H_INGRESS), and takes the filter without a word.
        """
        from ..kernel.netlink import ingress_qdisc, interface_name

        if direction != "egress" or ingress_qdisc(index) != "ingress":
            return
        name = interface_name(index)
        what = f"can't attach {self.name}: {name} has an ingress qdisc, which would run a filter of egress on ingress"
        fix = f"replace it, and the filters in it: tc qdisc del dev {name} ingress && tc qdisc add dev {name} clsact"
        raise AttachError(what, fix=fix, program=self.name)

    def _warn_of_leftovers(self, index: int, direction: str) -> None:
        """Warns of filters of this program whose process was killed: they still run."""
        from ..kernel.netlink import filters, interface_name
        from ..kernel.objects import program_info

        try:
            found = filters(index, direction)
        except OSError:  # no rtnetlink: the attach itself tells what is wrong
            return
        if not found:
            return
        info = program_info(self.fd)
        same = [each for each in found if each.tag == info.tag or each.name == info.name]
        if not same:
            return
        from ..kernel.holders import holders

        held = holders().programs
        for each in same:
            if each.program not in held:
                name = interface_name(index)
                what = f"a process that has ended left the filter {each.name} at {name} ({direction}, priority"
                what += f" {each.priority}, handle {each.handle:#x}), which still runs"
                fix = f"remove it: {COMMAND} detach --tc {name} --program {each.program}"
                warn(f"{what}; {fix}")


class FilterLink(HookLink):
    """A filter of a clsact qdisc.

    It ends in the network namespace where it began, wherever the thread that ends it is then. Another process may have
    replaced it by its own meanwhile, at the same priority and handle: that one stays.
    """

    def __init__(self, owner: Owner, program: str, interface: int, direction: str, attached: TcOptions):
        from ..kernel.network_namespace import network_namespace

        self._place = network_namespace(), interface, direction
        self._key = attached.priority, attached.handle, attached.prog_id
        super().__init__(owner, program, self._remove)

    @property
    def attached(self) -> bool:
        """True while it is there: until it is detached, replaced or removed by another, or its interface has gone."""
        return self._live and self._with_filter(lambda _, __: True)

    def _remove(self) -> None:
        from ..kernel.netlink import remove_filter

        try:
            self._with_filter(remove_filter)
        except OSError as error:
            if error.errno not in GONE:
                raise

    def _with_filter(self, action: Callable[[Filter, socket.socket], object]) -> bool:
        """Calls the action with the filter and a connection to its network; False where it isn't there any more.

        Raises OSError.
        """
        from ..kernel.netlink import filters
        from ..kernel.network_namespace import connected_in

        namespace, interface, direction = self._place
        netlink = connected_in(namespace)
        if netlink is None:
            return False
        with netlink:
            for each in filters(interface, direction, netlink):
                if (each.priority, each.handle, each.program) == self._key:
                    action(each, netlink)
                    return True
        return False


class NetkitProgram(Program):
    """SEC("netkit/primary"), SEC("netkit/peer"): in a netkit device. Needs libbpf 1.3 and Linux 6.7."""

    _names_target = False

    def attach(
        self,
        interface: str | int,
        *,
        before: Neighbour = None,
        after: Neighbour = None,
        first: bool = False,
        revision: int = 0,
    ) -> Link:
        """Attaches to a netkit device, by the name or index of its primary end.

        It runs `before` or `after` another (a Program or a Link), `first`, or else last; with `revision`, the kernel
        refuses if the list has changed. Raises AttachError, PrivilegeError, StateError, LibraryError.
        """
        place = placement(before, after, first, revision)
        index = interface_index(self.name, interface)
        return self._link("attach_netkit", index, place, interface=index)

    def _place(self, interface: str | int, **_: object) -> Place | None:
        from ..kernel.link_type import LinkType

        return LinkType.NETKIT, interface_index(self.name, interface), self._attach_type()
