"""Makes interfaces without ip(8), which guests haven't; all of it is of the calling thread's network namespace.

Numbers: linux/rtnetlink.h, if_link.h, netlink.h, sockios.h.
"""

import errno
import fcntl
import socket
import struct

import pytest
from bpfloader.kernel.netlink import LINK_MESSAGE, RTM_NEWLINK, request

RTM_DELLINK = 17
CREATE = 0x600  # NLM_F_CREATE | NLM_F_EXCL
IFLA_IFNAME, IFLA_LINKINFO, IFLA_INFO_KIND = 3, 18, 1
SIOCSIFFLAGS, SIOCSIFADDR, SIOCSIFMTU, IFF_UP = 0x8914, 0x8916, 0x8922, 1


def make_interface(name: str, kind: str) -> None:
    """Makes an interface, and its peer where its kind has one; skips where this kernel makes none of it."""
    info = _attribute(IFLA_LINKINFO, _attribute(IFLA_INFO_KIND, kind.encode() + b"\0"))
    try:
        request(RTM_NEWLINK, CREATE, LINK_MESSAGE.pack(0, 0, 0, 0, 0) + _attribute(IFLA_IFNAME, name.encode() + b"\0") + info)
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.ENODEV):
            raise
        pytest.skip(f"this kernel makes no {kind}")


def remove_interface(name: str) -> None:
    """Removes an interface, and its peer with it."""
    request(RTM_DELLINK, 0, LINK_MESSAGE.pack(0, 0, socket.if_nametoindex(name), 0, 0))


def switch_on(name: str) -> None:
    """Takes an interface up."""
    _ioctl(SIOCSIFFLAGS, name, struct.pack("H14x", IFF_UP))


def set_mtu(name: str, mtu: int) -> None:
    """Sets the largest packet of an interface."""
    _ioctl(SIOCSIFMTU, name, struct.pack("i12x", mtu))


def set_address(name: str, address: str) -> None:
    """Gives an interface an IPv4 address, with the netmask of its class."""
    _ioctl(SIOCSIFADDR, name, struct.pack("H2x4s8x", socket.AF_INET, socket.inet_aton(address)))


def _ioctl(kind: int, name: str, argument: bytes) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, kind, struct.pack("16s", name.encode()) + argument)


def _attribute(kind: int, payload: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(payload), kind) + payload + bytes(-len(payload) % 4)
