"""Asks rtnetlink(7) for the XDP programs, qdiscs and filters of interfaces, and removes programs and filters.

Layouts and numbers: linux/netlink.h, rtnetlink.h, if_link.h and pkt_sched.h, pkt_cls.h. All of it is of the network
namespace of the calling thread, or of that where the connection `through` was made.
"""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import socket

NLM_F_REQUEST, NLM_F_ACK, NLM_F_DUMP = 0x1, 0x4, 0x300
NLMSG_ERROR, NLMSG_DONE = 2, 3
RTM_NEWLINK, RTM_GETLINK, RTM_SETLINK, RTM_GETQDISC, RTM_DELTFILTER, RTM_GETTFILTER = 16, 18, 19, 38, 45, 46
IFLA_XDP, IFLA_XDP_FD, IFLA_XDP_FLAGS = 43, 1, 3
NLA_F_NESTED, NLA_TYPE_MASK = 1 << 15, 0x3FFF
TCA_KIND, TCA_OPTIONS, TCA_CHAIN = 1, 2, 11
TCA_BPF_NAME, TCA_BPF_TAG, TCA_BPF_ID = 7, 10, 11
TC_H_INGRESS = 0xFFFFFFF1
PARENTS = {"ingress": 0xFFFFFFF2, "egress": 0xFFFFFFF3}  # TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS or _EGRESS)
XDP_IDS = {5: "native", 6: "generic", 7: "offload"}  # IFLA_XDP_DRV_PROG_ID, _SKB_, _HW_
XDP_MODES = {"generic": 1 << 1, "native": 1 << 2, "offload": 1 << 3}  # XDP_FLAGS_*_MODE of linux/if_link.h
HEADER, TC_MESSAGE, LINK_MESSAGE = struct.Struct("=IHHII"), struct.Struct("=B3xiIII"), struct.Struct("=BxHiII")


class XdpProgramId(NamedTuple):
    """An XDP program at an interface: the interface's index, "native", "generic" or "offload", the program's id."""

    interface: int
    mode: str
    program: int


class Filter(NamedTuple):
    """A BPF filter (cls_bpf) of an ingress or clsact qdisc.

    `name` is that of the program where libbpf made it, else a section or file; `protocol` is a big-endian ETH_P_*.
    """

    interface: int
    direction: str
    priority: int
    handle: int
    protocol: int
    chain: int
    program: int
    name: str
    tag: str


def xdp_programs() -> list[XdpProgramId]:
    """Returns the XDP programs of all interfaces, attached by links too. Raises OSError."""
    found = []
    for body in _dump(RTM_GETLINK, LINK_MESSAGE.pack(0, 0, 0, 0, 0)):
        _, _, index, _, _ = LINK_MESSAGE.unpack_from(body)
        xdp = dict(attributes(dict(attributes(body[LINK_MESSAGE.size :])).get(IFLA_XDP, b"")))
        found += [XdpProgramId(index, mode, _number(xdp[key])) for key, mode in XDP_IDS.items() if key in xdp]
    return found


def ingress_qdisc(interface: int) -> str:
    """Returns the kind of the qdisc that sees an interface's ingress: `clsact`, `ingress`; empty for none.

    Raises OSError.
    """
    for body in _dump(RTM_GETQDISC, TC_MESSAGE.pack(0, interface, 0, 0, 0)):
        _, index, _, parent, _ = TC_MESSAGE.unpack_from(body)
        if index == interface and parent == TC_H_INGRESS:  # kernels before 4.20 list all interfaces
            return _text(dict(attributes(body[TC_MESSAGE.size :])).get(TCA_KIND, b""))
    return ""


def filters(interface: int, direction: str, through: socket.socket | None = None) -> list[Filter]:
    """Returns the BPF filters of an interface in the order in which they run; none without a qdisc. Raises OSError.

    A qdisc `ingress` has no egress, and shows its filters for both directions.
    """
    try:
        bodies = list(_dump(RTM_GETTFILTER, TC_MESSAGE.pack(0, interface, 0, PARENTS[direction], 0), through))
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.EINVAL):
            return []
        raise
    found = []
    for body in bodies:
        _, index, handle, _, info = TC_MESSAGE.unpack_from(body)
        fields = dict(attributes(body[TC_MESSAGE.size :]))
        options = dict(attributes(fields.get(TCA_OPTIONS, b"")))
        if index == interface and handle and _text(fields.get(TCA_KIND, b"")) == "bpf":
            found.append(Filter(
                index, direction, info >> 16, handle, info & 0xFFFF, _number(fields.get(TCA_CHAIN, b"")),
                _number(options.get(TCA_BPF_ID, b"")), _text(options.get(TCA_BPF_NAME, b"")).partition(":[")[0],
                options.get(TCA_BPF_TAG, b"").hex()))  # fmt: skip
    return found


def interface_name(index: int) -> str:
    """Returns an interface's name; its index as text where it has gone."""
    from socket import if_indextoname

    try:
        return if_indextoname(index)
    except OSError:
        return str(index)


def remove_filter(gone: Filter, through: socket.socket | None = None) -> None:
    """Removes a filter. Raises OSError."""
    body = TC_MESSAGE.pack(0, gone.interface, gone.handle, PARENTS[gone.direction], gone.priority << 16 | gone.protocol)
    chain = _attribute(TCA_CHAIN, struct.pack("=I", gone.chain)) if gone.chain else b""
    request(RTM_DELTFILTER, 0, body + _attribute(TCA_KIND, b"bpf\0") + chain, through)


def remove_xdp(gone: XdpProgramId) -> None:
    """Removes an XDP program that no link attaches. Raises OSError; EBUSY where a link does."""
    none = _attribute(IFLA_XDP_FD, struct.pack("=i", -1))
    flags = _attribute(IFLA_XDP_FLAGS, struct.pack("=I", XDP_MODES[gone.mode]))
    nested = _attribute(IFLA_XDP | NLA_F_NESTED, none + flags)
    request(RTM_SETLINK, 0, LINK_MESSAGE.pack(0, 0, gone.interface, 0, 0) + nested)


def request(kind: int, flags: int, body: bytes, through: socket.socket | None = None) -> None:
    """Sends a request and waits for its acknowledgement. Raises OSError."""
    with _one(through) as netlink:
        _send(netlink, kind, flags | NLM_F_ACK, body)
        _require_done(netlink.recv(1 << 16)[HEADER.size :])


def _dump(kind: int, body: bytes, through: socket.socket | None = None) -> Iterator[bytes]:
    """Yields the bodies of the answers to a dump, all of which are to be taken. Raises OSError."""
    with _one(through) as netlink:
        _send(netlink, kind, NLM_F_DUMP, body)
        while True:
            data, place = netlink.recv(1 << 16), 0
            while place + HEADER.size <= len(data):
                length, answer, *_ = HEADER.unpack_from(data, place)
                body = data[place + HEADER.size : place + length]
                if answer == NLMSG_DONE:
                    return
                if answer == NLMSG_ERROR:
                    _require_done(body)
                yield body
                place += max(length + 3 & ~3, HEADER.size)


def _one(given: socket.socket | None) -> AbstractContextManager[socket.socket]:
    """Returns a connection for a `with`: the given one, which stays open, or one of the thread's network."""
    return nullcontext(given) if given else connected()


def connected() -> socket.socket:
    """Connects to rtnetlink. The connection stays in the network namespace in which the calling thread is now."""
    import socket

    made = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)  # NETLINK_ROUTE
    made.settimeout(10)  # seconds: the kernel answers at once, but for a lock of its own
    return made


def _send(netlink: socket.socket, kind: int, flags: int, body: bytes) -> None:
    netlink.send(HEADER.pack(HEADER.size + len(body), kind, flags | NLM_F_REQUEST, 1, 0) + body)


def _require_done(body: bytes) -> None:
    """Raises the OSError that an answer (struct nlmsgerr) states."""
    (number,) = struct.unpack_from("=i", body)
    if number:
        raise OSError(-number, os.strerror(-number))


def attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yields the attributes (struct nlattr) of a message: their types and payloads."""
    place = 0
    while place + 4 <= len(data):
        length, kind = struct.unpack_from("=HH", data, place)
        if length < 4:
            return
        yield kind & NLA_TYPE_MASK, data[place + 4 : place + length]
        place += length + 3 & ~3


def _attribute(kind: int, payload: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(payload), kind) + payload + bytes(-len(payload) % 4)


def _number(payload: bytes) -> int:
    return int.from_bytes(payload[:4], "little" if struct.pack("=H", 1)[0] else "big")


def _text(payload: bytes) -> str:
    return payload.partition(b"\0")[0].decode("utf-8", "replace")
