"""How a probe tries the kinds of networks and cgroups: at sockets and maps of its own, in a network namespace of its
own, and at a descriptor that is no cgroup, which the kernel finds out only once it has taken program and kind."""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import threading
from collections.abc import Callable

from ..btf.reader import FUNC
from ..diagnose.refusal import NO_CLSACT
from ..errors import CallError, errno_text
from ..kernel import bpf as rawbpf
from ..kernel.attach_type import AttachType
from ..kernel.map_type import MapType
from ..libbpf.library import library
from ..libbpf.log import captured
from ..libbpf.structs import TcHook, TcOptions, sized
from .trial import CGROUP_HOOK, CantTell, Kind, Lacking, kernel_type, loaded, refused_with
from .try_tracing import lsm

BPF_PROG_TYPE_LSM = 29  # linux/bpf.h
CLONE_NEWNET = 0x40000000  # linux/sched.h
SO_ATTACH_BPF, SO_ATTACH_REUSEPORT_EBPF = 50, 52  # asm-generic/socket.h
LO = 1  # the index of a new namespace's only interface
INGRESS = 1  # BPF_TC_INGRESS
NETKIT = b"probed"  # not nk0, which the kernel gives its peer
LOCAL_OUT, IPV4, CONNTRACK = 3, 2, -200  # NF_INET_LOCAL_OUT, NFPROTO_IPV4, NF_IP_PRI_CONNTRACK, which links may not use


def in_own_network(function: Callable[[Kind], None]) -> Callable[[Kind], None]:
    """The same try, in a thread with a network namespace that ends with it."""

    def run(kind: Kind) -> None:
        result: list[BaseException] = []
        thread = threading.Thread(target=_unshared, args=(function, kind, result))
        thread.start()
        thread.join()
        if result:
            raise result[0]

    return run


def _unshared(function: Callable[[Kind], None], kind: Kind, result: list[BaseException]) -> None:
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.unshare(CLONE_NEWNET):
            number = ctypes.get_errno()
            with loaded(kind):  # what is refused at once needs no namespace to say so
                raise CantTell(f"it loads, but no network namespace can be made to attach it in ({errno_text(number)})")
        function(kind)
    except BaseException as error:
        result.append(error)


@in_own_network
def interface(kind: Kind) -> None:
    """XDP and tcx, at the namespace's lo."""
    with loaded(kind) as program:
        os.close(rawbpf.link(program, LO, kind.attach_type))


@in_own_network
def tc(kind: Kind) -> None:
    """A filter of the classifier clsact, as libbpf makes it."""
    hook = sized(TcHook, ifindex=LO, attach_point=INGRESS)
    with loaded(kind._replace(attach_type=0)) as program, captured():
        try:
            library().bpf_tc_hook_create(ctypes.byref(hook))
            library().bpf_tc_attach(ctypes.byref(hook), ctypes.byref(sized(TcOptions, prog_fd=program)))
        except CallError as error:
            if error.errno == errno.ENOENT:
                raise Lacking("; ".join(NO_CLSACT)) from None
            raise OSError(error.errno, error.what) from None


@in_own_network
def netkit(kind: Kind) -> None:
    """At a pair of netkit devices made for it."""
    with loaded(kind) as program:
        os.close(rawbpf.link(program, _new_netkit(), kind.attach_type))


def _new_netkit() -> int:
    """The index of a new netkit device: RTM_NEWLINK with IFLA_IFNAME and IFLA_LINKINFO (rtnetlink(7))."""
    import socket

    name = struct.pack("=HH8s", 12, 3, NETKIT)
    info = struct.pack("=HHHH8s", 16, 18, 12, 1, b"netkit")
    body = bytes(16) + name + info
    header = struct.pack("=IHHII", 16 + len(body), 16, 0x605, 1, 0)  # NLM_F_REQUEST | _ACK | _EXCL | _CREATE
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as netlink:  # NETLINK_ROUTE
        netlink.send(header + body)
        (number,) = struct.unpack_from("=i", netlink.recv(4096), 16)  # struct nlmsgerr
    if number:
        raise OSError(-number, "no netkit device can be made")
    return socket.if_nametoindex(NETKIT.decode())


@in_own_network
def namespace(kind: Kind) -> None:
    """sk_lookup and the flow dissector, at the network namespace itself."""
    here = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        with loaded(kind) as program:
            os.close(rawbpf.link(program, here, kind.attach_type))
    finally:
        os.close(here)


@in_own_network
def netfilter(kind: Kind) -> None:
    """At the packets that the namespace sends."""
    with loaded(kind) as program:
        options = struct.pack("=IIiI", IPV4, LOCAL_OUT, CONNTRACK + 1, 0)
        os.close(rawbpf.link(program, 0, kind.attach_type, options))


def sockmap(kind: Kind) -> None:
    """sk_skb and sk_msg, at a map of sockets without any."""
    of = rawbpf.create_map(MapType.SOCKMAP, rawbpf.MapAttr())
    try:
        with loaded(kind) as program:
            rawbpf.attach(program, of, kind.attach_type)
    finally:
        os.close(of)


def socket_filter(kind: Kind) -> None:
    """At a socket of its own."""
    _at_socket(kind, SO_ATTACH_BPF)


def reuseport(kind: Kind) -> None:
    """At a socket of its own, which no other shares its port with."""
    _at_socket(kind, SO_ATTACH_REUSEPORT_EBPF)


def _at_socket(kind: Kind, option: int) -> None:
    import socket

    with loaded(kind) as program, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mine:
        mine.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        mine.setsockopt(socket.SOL_SOCKET, option, program)


def cgroup(kind: Kind) -> None:
    """A kind of cgroups: EBADF for a folder that is no cgroup comes after the kernel has taken all else."""
    with loaded(kind) as program:
        _at_no_cgroup(program, kind.attach_type)


def lsm_cgroup(kind: Kind) -> None:
    """A hook of a cgroup: attached by the same means as LSM programs, so both must be there."""
    with loaded(kind, kernel_type(CGROUP_HOOK, FUNC)) as program:
        _at_no_cgroup(program, kind.attach_type)
    lsm(LSM)


LSM = Kind("lsm", BPF_PROG_TYPE_LSM, AttachType.LSM_MAC, 0)


def _at_no_cgroup(program: int, attach_type: int) -> None:
    folder = os.open("/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with refused_with(errno.EBADF):
            _linked_or_attached(program, folder, attach_type)
    finally:
        os.close(folder)


def _linked_or_attached(program: int, folder: int, attach_type: int) -> None:
    try:
        rawbpf.link(program, folder, attach_type)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        rawbpf.attach(program, folder, attach_type)  # before Linux 5.7 there are no links
