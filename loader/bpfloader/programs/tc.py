"""Programs in an interface's traffic control: filters of a clsact qdisc, tcx and netkit."""

from __future__ import annotations

import ctypes
import errno
from functools import partial

from ..diagnose.refusal import NO_CLSACT
from ..errors import AttachError, CallError, errno_text
from ..libbpf.library import library
from ..libbpf.log import captured
from ..libbpf.structs import TcHook, TcOptions, sized
from ..link import HookLink, Link
from ..signals import DeferredSignals
from .anchor import Neighbour, placement
from .base import Program
from .network import interface_index

ATTACH_POINTS = {"ingress": 1 << 0, "egress": 1 << 1}  # enum bpf_tc_attach_point of libbpf.h
BPF_TC_F_REPLACE = 1 << 0
TCX_SECTIONS = ("tcx/ingress", "tcx/egress", "tc/ingress", "tc/egress")


class TcProgram(Program):
    """SEC("tc"), SEC("classifier"), SEC("action"): a filter on an interface; SEC("tcx/ingress"), SEC("tcx/egress"):
    a tcx link (libbpf 1.3, Linux 6.6)."""

    @property
    def is_tcx(self) -> bool:
        """True if its section makes it a tcx link, False if a filter."""
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
        """Attaches to an interface's "ingress" or "egress".

        A filter: `priority` and `handle` are 1 or more, or 0 for the kernel's choice; `replace` replaces the filter
        that has both. A clsact qdisc is made where there is none, and stays. A tcx link: the section says the
        direction; it runs `before` or `after` another (a Program or a Link), `first`, or else last; with `revision`,
        the kernel refuses if the list has changed. Raises AttachError, PrivilegeError, StateError, LibraryError,
        ValueError.
        """
        place = placement(before, after, first, revision)
        if self.is_tcx:
            if priority or handle or replace or direction not in ("", self.target):
                raise ValueError(f"{self.name} is a tcx program: its place is told by before, after or first")
            index = interface_index(self.name, interface)
            return self._link("attach_tcx", index, place, interface=index)
        if place.flags or revision:
            raise ValueError(f"{self.name} is a filter: its place is told by priority and handle")
        if direction not in ATTACH_POINTS:
            raise ValueError(f'{self.name} is attached to "ingress" or "egress", not to {direction!r}')
        return self._filter(interface_index(self.name, interface), ATTACH_POINTS[direction], priority, handle, replace)

    def _filter(self, index: int, point: int, priority: int, handle: int, replace: bool) -> Link:
        hook = sized(TcHook, ifindex=index, attach_point=point)
        with self._owner.lock, DeferredSignals():
            options = sized(TcOptions, prog_fd=self.fd, priority=priority, handle=handle)
            options.flags = BPF_TC_F_REPLACE if replace else 0
            self._make_qdisc(hook)
            self._call("bpf_tc_attach", hook, options, interface=index)
            return HookLink(self._owner, self.name, partial(_remove_tc_filter, hook, options))

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


def _remove_tc_filter(hook: TcHook, attached: TcOptions) -> None:
    wanted = sized(TcOptions, handle=attached.handle, priority=attached.priority)
    with captured():
        try:
            library().bpf_tc_detach(ctypes.byref(hook), ctypes.byref(wanted))
        except CallError as error:
            if error.errno not in (errno.ENOENT, errno.EINVAL, errno.ENODEV):  # gone with its qdisc or interface
                raise


class NetkitProgram(Program):
    """SEC("netkit/primary"), SEC("netkit/peer"): in a netkit device. Needs libbpf 1.3 and Linux 6.7."""

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
