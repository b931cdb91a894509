"""Programs at network interfaces, sockets, cgroups and namespaces."""

from __future__ import annotations

import contextlib
import errno
import os
import weakref
from collections.abc import Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from ..errors import COMMAND, AttachError, CallError, errno_text
from ..libbpf.library import library
from ..libbpf.pin import pinned_fd
from ..libbpf.structs import LinkCreateOptions, NetfilterOptions, sized
from ..link.base import FdLink, HookLink, Link
from ..map.base import Map
from ..signals import DeferredSignals
from .anchor import Neighbour, placement
from .base import Program, require_lsm

if TYPE_CHECKING:
    import socket

    from ..link.place import Place

T = TypeVar("T")
# include/uapi/asm-generic/socket.h, which all seven arches use for these.
SOL_SOCKET = 1
SO_ATTACH_BPF, SO_ATTACH_REUSEPORT_EBPF, SO_DETACH_REUSEPORT_BPF, SO_DETACH_FILTER = 50, 52, 68, 27
# NFPROTO_* of linux/netfilter.h, NF_INET_* of the same.
NETFILTER_FAMILIES = {"ipv4": 2, "ipv6": 10}
NETFILTER_HOOKS = {"prerouting": 0, "input": 1, "forward": 2, "output": 3, "postrouting": 4}
BPF_F_NETFILTER_IP_DEFRAG = 1 << 0


def interface_index(program: str, interface: str | int) -> int:
    """Returns an interface's index, given that or its name. Raises AttachError where no interface has the name."""
    if isinstance(interface, int):
        return interface
    from socket import if_nametoindex

    try:
        return if_nametoindex(interface)
    except OSError:
        from ..diagnose.interface_target import no_interface

        what = f"can't attach {program}: there is no interface {interface}"
        raise AttachError(what, fix=no_interface(interface), errno=errno.ENODEV, program=program) from None


def named_value(program: str, words: Mapping[str, T], word: str, what: str) -> T:
    """Returns the value of a word. Raises AttachError for an unknown word, called `what` in its text."""
    if word in words:
        return words[word]
    known = ", ".join(f'"{each}"' for each in words)
    raise AttachError(
        f"can't attach {program}: there is no {what} {word!r}", fix=f"give one of {known}", program=program
    )


@contextlib.contextmanager
def opened(program: str, path: str | os.PathLike[str] | int, cgroup: bool = True) -> Iterator[int]:
    """Opens a cgroup's folder or a network namespace's file for the `with`; a descriptor that is given stays open.

    Raises AttachError.
    """
    if isinstance(path, int):
        yield path
        return
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (os.O_DIRECTORY if cgroup else 0))
    except OSError as error:
        from ..diagnose.attach_target import NAMESPACES
        from ..diagnose.cgroup_target import cgroups

        number = error.errno or 0
        what = f"can't attach {program} ({errno_text(number)}): can't open {os.fspath(path)}"
        raise AttachError(what, fix=cgroups() if cgroup else NAMESPACES, errno=number, program=program) from None
    try:
        yield fd
    finally:
        os.close(fd)


class XdpProgram(Program):
    """SEC("xdp"), SEC("xdp.frags"): on packets as an interface receives them."""

    _names_target = False

    def attach(self, interface: str | int, *, mode: str = "") -> Link:
        """Attaches to a network interface, by name or index.

        `mode` is "generic", "native" or "offload"; empty, the kernel takes native where the driver has it. Raises
        AttachError, PrivilegeError, StateError.
        """
        index = interface_index(self.name, interface)
        if not mode:
            return self._link("attach_xdp", index, interface=index, mode="")
        from ..kernel.attach_type import AttachType
        from ..kernel.netlink import XDP_MODES

        options = sized(LinkCreateOptions, flags=named_value(self.name, XDP_MODES, mode, "mode"))
        with self._owner.lock, DeferredSignals():
            fd = self._call("bpf_link_create", self.fd, index, AttachType.XDP, options, interface=index, mode=mode)
            return FdLink(self._owner, self.name, fd)

    def _place(self, interface: str | int, **_: object) -> Place | None:
        from ..kernel.link_type import LinkType

        return LinkType.XDP, interface_index(self.name, interface)

    def attach_pinned(self, path: str | os.PathLike[str], *target: Any, **options: Any) -> Link:
        """Attaches or takes over, as other programs do. The mode of a pinned link stays.

        Raises AttachError for another one, too: the kernel can neither change it nor have both.
        """
        if options.get("mode") and os.path.lexists(path):
            self._require_mode(os.fspath(path), options["mode"])
        return super().attach_pinned(path, *target, **options)

    def _require_mode(self, path: str, mode: str) -> None:
        from ..kernel.link_type import LinkType
        from ..link.place import place_of, xdp_mode

        fd = pinned_fd(path, "link", AttachError)
        try:
            found = xdp_mode(fd) if place_of(fd)[0] == LinkType.XDP else ""
        except OSError:  # the attach itself tells what is wrong
            found = ""
        finally:
            os.close(fd)
        if found not in ("", mode):
            what = f"can't attach {self.name} in {mode} mode: the link pinned at {path} is in {found} mode, which stays"
            fix = f"detach it first: {COMMAND} detach --pin {path}"
            raise AttachError(what, fix=fix, errno=errno.EBUSY, program=self.name)


class CgroupProgram(Program):
    """SEC("cgroup/…"), SEC("cgroup_skb/…"), SEC("sockops"), SEC("lsm_cgroup/…"): for what a cgroup's processes do."""

    _names_target = False

    def attach(
        self,
        cgroup: str | os.PathLike[str] | int,
        *,
        before: Neighbour = None,
        after: Neighbour = None,
        first: bool = False,
        preorder: bool = False,
        revision: int = 0,
    ) -> Link:
        """Attaches to a cgroup v2 folder, or to the descriptor of one.

        It runs `before` or `after` another program of that cgroup (a Program or a Link), or `first`; with `preorder`,
        before those of the cgroups below. With `revision`, the kernel refuses if the list has changed. Raises
        AttachError, PrivilegeError, StateError; LibraryError for a place with libbpf older than 1.6.
        """
        place = placement(before, after, first, revision, preorder)
        if self.section.removeprefix("?").startswith("lsm_cgroup"):
            require_lsm(self.name)
        with opened(self.name, cgroup) as fd:
            if place.flags or revision:
                return self._link("attach_cgroup_opts", fd, place, cgroup=cgroup, attach_type=self._attach_type())
            return self._link("attach_cgroup", fd, cgroup=cgroup, attach_type=self._attach_type())

    def _place(self, cgroup: str | os.PathLike[str] | int, **_: object) -> Place | None:
        from ..kernel.link_type import LinkType

        with opened(self.name, cgroup) as fd:  # its id is that of its folder in kernfs
            return LinkType.CGROUP, os.fstat(fd).st_ino, self._attach_type()


class NetnsProgram(Program):
    """SEC("sk_lookup"), SEC("flow_dissector"): for a network namespace."""

    _names_target = False

    def attach(self, namespace: str | os.PathLike[str] | int = "/proc/thread-self/ns/net") -> Link:
        """Attaches to a network namespace, by path or descriptor; by default to that of the calling thread.

        Raises AttachError, PrivilegeError, StateError.
        """
        with opened(self.name, namespace, cgroup=False) as fd:
            return self._link("attach_netns", fd, namespace=namespace)

    def _place(self, namespace: str | os.PathLike[str] | int = "/proc/thread-self/ns/net") -> Place | None:
        from ..kernel.link_type import LinkType

        with opened(self.name, namespace, cgroup=False) as fd:
            return LinkType.NETNS, os.fstat(fd).st_ino, self._attach_type()


class SockmapProgram(Program):
    """SEC("sk_skb/…"), SEC("sk_msg"): for the sockets in a map."""

    _names_target = False

    def attach(self, sockets: Map) -> Link:
        """Attaches to a sockmap or sockhash. Raises AttachError, PrivilegeError, StateError."""
        with self._owner.lock, DeferredSignals():
            fd, kind = os.dup(sockets.fd), self._attach_type()
            try:
                self._call("bpf_prog_attach", self.fd, fd, kind, 0)
            except BaseException:
                os.close(fd)
                raise
            return HookLink(self._owner, self.name, partial(_detach, self.fd, fd, kind))


def _detach(program: int, target: int, kind: int) -> None:
    try:
        library().bpf_prog_detach2(program, target, kind)
    except CallError as error:
        if error.errno != errno.ENOENT:  # another program has taken its place
            raise
    finally:
        os.close(target)


class SocketFilterProgram(Program):
    """SEC("socket"): filters what a socket receives; returns how many bytes of a packet the socket gets."""

    _names_target = False
    _attach_option, _detach_option = SO_ATTACH_BPF, SO_DETACH_FILTER

    def attach(self, target: socket.socket) -> Link:
        """Attaches to a socket until that is closed. Raises AttachError, PrivilegeError, StateError."""
        with self._owner.lock, DeferredSignals():
            try:
                target.setsockopt(SOL_SOCKET, self._attach_option, self.fd)
            except OSError as error:
                failed = CallError("setsockopt failed", errno=error.errno or 0)
                from ..diagnose.refusal import attach_refused

                raise attach_refused(self.name, failed, (), self.section) from None
            newest = _newest.setdefault(target, {})[self._detach_option] = object()
            end = partial(_remove_socket_filter, weakref.ref(target), self._detach_option, newest)
            return HookLink(self._owner, self.name, end)


class ReuseportProgram(SocketFilterProgram):
    """SEC("sk_reuseport"): chooses the socket of a SO_REUSEPORT group that gets a connection or a packet."""

    _attach_option, _detach_option = SO_ATTACH_REUSEPORT_EBPF, SO_DETACH_REUSEPORT_BPF


# Which attachment is a socket's newest, by the option that ends it: it has taken the place of those before it.
_newest: weakref.WeakKeyDictionary[socket.socket, dict[int, object]] = weakref.WeakKeyDictionary()


def _remove_socket_filter(reference: weakref.ref[socket.socket], option: int, attachment: object) -> None:
    target = reference()
    if target is not None and target.fileno() >= 0 and _newest.get(target, {}).get(option) is attachment:
        with contextlib.suppress(OSError):  # the filter has gone with another's SO_DETACH_FILTER
            target.setsockopt(SOL_SOCKET, option, 0)


class NetfilterProgram(Program):
    """SEC("netfilter"): at a hook of netfilter. Needs libbpf 1.3 and Linux 6.4."""

    _names_target = False

    def attach(self, hook: str, *, family: str = "ipv4", priority: int = 0, defragment: bool = False) -> Link:
        """Attaches to "prerouting", "input", "forward", "output" or "postrouting" of "ipv4" or "ipv6".

        Lower priorities run first, and each can be used once only; `defragment` hands it whole packets (Linux 6.6).
        Raises AttachError, PrivilegeError, StateError, LibraryError.
        """
        options = sized(
            NetfilterOptions,
            pf=named_value(self.name, NETFILTER_FAMILIES, family, "family"),
            hooknum=named_value(self.name, NETFILTER_HOOKS, hook, "hook"),
            priority=priority,
            flags=BPF_F_NETFILTER_IP_DEFRAG if defragment else 0,
        )
        return self._link("attach_netfilter", options)

    def _place(self, hook: str, *, family: str = "ipv4", priority: int = 0, defragment: bool = False) -> Place | None:
        from ..kernel.link_type import LinkType

        number, protocol = NETFILTER_HOOKS.get(hook, -1), NETFILTER_FAMILIES.get(family, -1)  # attach names a wrong one
        return LinkType.NETFILTER, protocol, number, priority, BPF_F_NETFILTER_IP_DEFRAG if defragment else 0
