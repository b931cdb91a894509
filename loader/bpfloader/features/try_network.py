"""Tries the kinds of networks and cgroups.

They attach to sockets and maps of their own, in a network namespace of their own, or to a descriptor that is no cgroup,
which the kernel checks only after program and kind.
"""

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
from ..program.network import NETFILTER_FAMILIES, NETFILTER_HOOKS, SO_ATTACH_BPF, SO_ATTACH_REUSEPORT_EBPF
from ..program.tc import ATTACH_POINTS
from .trial import CGROUP_HOOK, CantTell, NotSupported, Trial, expect_errno, kernel_type, loaded
from .try_tracing import lsm

BPF_PROG_TYPE_LSM = 29  # linux/bpf.h
CLONE_NEWNET = 0x40000000  # linux/sched.h
LO_INDEX = 1  # the index of a new namespace's only interface
NETKIT_NAME = b"probed"  # not nk0, which the kernel gives its peer
NF_IP_PRI_CONNTRACK = -200  # linux/netfilter_ipv4.h: a priority that links may not use


def in_own_network(function: Callable[[Trial], None]) -> Callable[[Trial], None]:
    """Returns the same try in a thread of its own, with a network namespace that ends with the thread."""

    def run(trial: Trial) -> None:
        errors: list[BaseException] = []
        thread = threading.Thread(target=_run_unshared, args=(function, trial, errors))
        thread.start()
        thread.join()
        if errors:
            raise errors[0]

    return run


def _run_unshared(function: Callable[[Trial], None], trial: Trial, errors: list[BaseException]) -> None:
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.unshare(CLONE_NEWNET):
            number = ctypes.get_errno()
            with loaded(trial):  # what is refused at once needs no namespace to say so
                raise CantTell(f"it loads, but no network namespace can be made to attach it in ({errno_text(number)})")
        function(trial)
    except BaseException as error:
        errors.append(error)


@in_own_network
def interface(trial: Trial) -> None:
    """Tries XDP and tcx at the namespace's lo."""
    with loaded(trial) as program:
        os.close(rawbpf.create_link(program, LO_INDEX, trial.attach_type))


@in_own_network
def tc(trial: Trial) -> None:
    """Tries a filter of the classifier clsact, made as libbpf makes it."""
    hook = sized(TcHook, ifindex=LO_INDEX, attach_point=ATTACH_POINTS["ingress"])
    with loaded(trial._replace(attach_type=0)) as program, captured():
        try:
            library().bpf_tc_hook_create(ctypes.byref(hook))
            library().bpf_tc_attach(ctypes.byref(hook), ctypes.byref(sized(TcOptions, prog_fd=program)))
        except CallError as error:
            if error.errno == errno.ENOENT:
                raise NotSupported("; ".join(NO_CLSACT)) from None
            raise OSError(error.errno, error.what) from None


@in_own_network
def netkit(trial: Trial) -> None:
    """Tries a program at a new pair of netkit devices."""
    with loaded(trial) as program:
        os.close(rawbpf.create_link(program, _new_netkit(), trial.attach_type))


def _new_netkit() -> int:
    """Makes a netkit device and returns its index: RTM_NEWLINK with IFLA_IFNAME and IFLA_LINKINFO (rtnetlink(7))."""
    import socket

    name = struct.pack("=HH8s", 12, 3, NETKIT_NAME)
    info = struct.pack("=HHHH8s", 16, 18, 12, 1, b"netkit")
    body = bytes(16) + name + info
    header = struct.pack("=IHHII", 16 + len(body), 16, 0x605, 1, 0)  # NLM_F_REQUEST | _ACK | _EXCL | _CREATE
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as netlink:  # NETLINK_ROUTE
        netlink.send(header + body)
        (number,) = struct.unpack_from("=i", netlink.recv(4096), 16)  # struct nlmsgerr
    if number:
        raise OSError(-number, "no netkit device can be made")
    return socket.if_nametoindex(NETKIT_NAME.decode())


@in_own_network
def namespace(trial: Trial) -> None:
    """Tries sk_lookup and the flow dissector at the network namespace itself."""
    own_namespace = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        with loaded(trial) as program:
            os.close(rawbpf.create_link(program, own_namespace, trial.attach_type))
    finally:
        os.close(own_namespace)


@in_own_network
def netfilter(trial: Trial) -> None:
    """Tries a program at the packets that the namespace sends."""
    with loaded(trial) as program:
        options = struct.pack(
            "=IIiI", NETFILTER_FAMILIES["ipv4"], NETFILTER_HOOKS["output"], NF_IP_PRI_CONNTRACK + 1, 0
        )
        os.close(rawbpf.create_link(program, 0, trial.attach_type, options))


def sockmap(trial: Trial) -> None:
    """Tries sk_skb and sk_msg at an empty map of sockets."""
    sockets = rawbpf.create_map(MapType.SOCKMAP, rawbpf.MapAttr())
    try:
        with loaded(trial) as program:
            rawbpf.attach_program(program, sockets, trial.attach_type)
    finally:
        os.close(sockets)


def socket_filter(trial: Trial) -> None:
    """Tries a program at a socket of its own."""
    _at_socket(trial, SO_ATTACH_BPF)


def reuseport(trial: Trial) -> None:
    """Tries a program at a socket of its own, whose port no other socket shares."""
    _at_socket(trial, SO_ATTACH_REUSEPORT_EBPF)


def _at_socket(trial: Trial, option: int) -> None:
    import socket

    with loaded(trial) as program, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.setsockopt(socket.SOL_SOCKET, option, program)


def cgroup(trial: Trial) -> None:
    """Tries a cgroup's kind at a folder that is no cgroup: EBADF comes after all other checks."""
    with loaded(trial) as program:
        _at_no_cgroup(program, trial.attach_type)


def lsm_cgroup(trial: Trial) -> None:
    """Tries a hook of a cgroup: the kernel attaches it by the means of LSM programs, so both must be there."""
    with loaded(trial, kernel_type(CGROUP_HOOK, FUNC)) as program:
        _at_no_cgroup(program, trial.attach_type)
    lsm(LSM)


LSM = Trial("lsm", BPF_PROG_TYPE_LSM, AttachType.LSM_MAC, 0)


def _at_no_cgroup(program: int, attach_type: int) -> None:
    folder = os.open("/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with expect_errno(errno.EBADF):
            _linked_or_attached(program, folder, attach_type)
    finally:
        os.close(folder)


def _linked_or_attached(program: int, folder: int, attach_type: int) -> None:
    try:
        rawbpf.create_link(program, folder, attach_type)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        rawbpf.attach_program(program, folder, attach_type)  # before Linux 5.7 there are no links
