"""A network and a BPF file system of the calling thread's own: entered, and left as they were."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import socket
import struct
from collections.abc import Iterator

from ..errors import errno_text

CLONE_FS, CLONE_NEWNS, CLONE_NEWNET = 0x00000200, 0x00020000, 0x40000000  # linux/sched.h
MS_REC, MS_PRIVATE = 1 << 14, 1 << 18  # linux/mount.h
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1  # linux/sockios.h, linux/if.h
BPFFS = "/sys/fs/bpf"


class NoNamespace(Exception):
    """This process or this machine can't have namespaces of its own; the text says why."""


@contextlib.contextmanager
def private_namespaces() -> Iterator[None]:
    """Gives the calling thread, and what it starts, a network of its own with lo up, and a BPF file system at BPFFS.

    The thread's root and working folder are as before afterwards. What was mounted and made there ends with the last
    process in it, also if this one is killed. Raises NoNamespace.
    """
    with contextlib.ExitStack() as stack:
        network, mounts, root, folder = (
            stack.enter_context(_descriptor(path))
            for path in ("/proc/thread-self/ns/net", "/proc/thread-self/ns/mnt", "/", ".")
        )
        # In a user namespace whose mounts and network are another's there would be no way back: it is tried before.
        _enter(network, mounts, root, folder)
        _call("unshare", CLONE_NEWNS | CLONE_NEWNET)
        try:
            _mount_bpffs()
            raise_loopback()
            yield
        finally:
            _enter(network, mounts, root, folder)


def _enter(network: int, mounts: int, root: int, folder: int) -> None:
    """Puts the thread into namespaces, a root and a working folder, by descriptors. Raises NoNamespace."""
    # Threads that were started meanwhile share the thread's root, and setns refuses one that is shared.
    _call("unshare", CLONE_FS)
    _call("setns", mounts, CLONE_NEWNS)
    os.fchdir(root)
    os.chroot(".")
    os.fchdir(folder)
    _call("setns", network, CLONE_NEWNET)


@contextlib.contextmanager
def _descriptor(path: str) -> Iterator[int]:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)


def _call(function: str, *arguments: object) -> None:
    """Calls a function of libc. Raises NoNamespace with its errno."""
    if getattr(ctypes.CDLL(None, use_errno=True), function)(*arguments):
        number = ctypes.get_errno()
        why = "needs root" if number == errno.EPERM and os.geteuid() else "this machine allows none"
        raise NoNamespace(f"no network and mounts of its own: {why} ({function}: {errno_text(number)})")


def _mount_bpffs() -> None:
    """Mounts a new BPF file system, which no other namespace sees."""
    if not os.path.isdir(BPFFS):
        raise NoNamespace(f"there is no {BPFFS}: /sys isn't mounted, or the kernel has no BPF file system")
    _make_private()
    _call("mount", b"bpf", os.fsencode(BPFFS), b"bpf", ctypes.c_ulong(0), None)


def _make_private() -> None:
    """Keeps mounts made here from other namespaces: all of them or, in a chroot, whose `/` is none, those around it."""
    libc, around = ctypes.CDLL(None, use_errno=True), BPFFS
    if not libc.mount(b"none", b"/", None, ctypes.c_ulong(MS_REC | MS_PRIVATE), None):
        return
    while libc.mount(b"none", os.fsencode(around), None, ctypes.c_ulong(MS_REC | MS_PRIVATE), None):
        if around == "/":
            raise NoNamespace(f"the mounts around {BPFFS} can't be made private")
        around = os.path.dirname(around)


def raise_loopback() -> None:
    """Takes the calling thread's lo up. Raises OSError."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sh14x", b"lo", 0)
        flags = struct.unpack("16sh14x", fcntl.ioctl(any_socket, SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | IFF_UP))
