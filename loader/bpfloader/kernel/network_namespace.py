"""Reaches the network namespace of an earlier moment, without keeping it alive meanwhile.

A descriptor of it, or a socket in it, would: then a container's interfaces would outlast the container.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Iterator
from glob import iglob
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket

CLONE_NEWNET = 0x40000000  # linux/sched.h
OURS = "/proc/thread-self/ns/net"


def network_namespace() -> int:
    """Returns the number (inode) of the calling thread's network namespace; 0 where /proc doesn't tell."""
    try:
        return os.stat(OURS).st_ino
    except OSError:
        return 0


def connected_in(number: int) -> socket.socket | None:
    """Connects to rtnetlink in a network namespace by its number; None where it has gone, or this process can't see it.

    The thread is in it for a moment only. Raises OSError.
    """
    from .netlink import connected

    if not number or number == network_namespace():
        return connected()
    enter = ctypes.CDLL(None, use_errno=True).setns
    for place in _places(number):
        with contextlib.suppress(OSError), open(place, "rb") as theirs, open(OURS, "rb") as ours:
            if os.fstat(theirs.fileno()).st_ino != number or enter(theirs.fileno(), CLONE_NEWNET):
                continue
            try:
                return connected()
            finally:
                if enter(ours.fileno(), CLONE_NEWNET):
                    why = os.strerror(ctypes.get_errno())
                    raise SystemError(f"can't return to this thread's network namespace ({why})")
    return None


def _places(number: int) -> Iterator[str]:
    """Yields paths of a namespace: of threads and descriptors of this process, mounts (`ip netns`), processes."""
    name = f"net:[{number}]"
    for pattern in ("/proc/self/task/*/ns/net", "/proc/self/fd/*"):
        yield from (each for each in iglob(pattern) if _target(each) == name)
    with contextlib.suppress(OSError), open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        yield from (fields[4] for fields in map(str.split, file) if fields[3] == name)
    yield from (each for each in iglob("/proc/[0-9]*/ns/net") if _target(each) == name)


def _target(link: str) -> str:
    with contextlib.suppress(OSError):
        return os.readlink(link)
    return ""
