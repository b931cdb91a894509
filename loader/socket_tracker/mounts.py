"""Finds the mounts that the tp_btf variant needs: the root of cgroup v2, and tracefs."""

from __future__ import annotations

import ctypes
import os
import re
import threading
from collections.abc import Callable
from typing import TypeVar

from .bpfloader import RefusedError

T = TypeVar("T")
TRACEFS = ("/sys/kernel/tracing", "/sys/kernel/debug/tracing")  # tracefs_path in libbpf.c
CLONE_NEWNS = 0x00020000  # linux/sched.h
MS_PRIVATE = 1 << 18  # linux/mount.h


def cgroup2_root(mountinfo: str = "/proc/self/mountinfo") -> str:
    """Returns where cgroup v2 is mounted, its root if there is a choice. Raises RefusedError if it isn't, OSError.

    The format is that of proc_pid_mountinfo(5).
    """
    found = []
    with open(mountinfo, encoding="utf-8", errors="surrogateescape") as file:
        lines = file.read().splitlines()
    for line in lines:
        mount, _, kind = line.partition(" - ")
        if kind.startswith("cgroup2 "):
            root, point = mount.split(" ")[3:5]
            found.append((root != "/", re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), point)))
    if not found:
        fix = "mkdir -p /run/cgroup2 && mount -t cgroup2 none /run/cgroup2"
        raise RefusedError("cgroup v2 is not mounted", fix=fix)
    return min(found)[1]


def with_tracefs(function: Callable[[], T]) -> T:
    """Calls a function where tracefs is mounted and returns its result. Raises RefusedError if it can't be mounted.

    libbpf reads a tracepoint's number there. If nobody has mounted it, it is mounted for a thread that ends with the
    call: the rest of the machine, and of this process, never sees it.
    """
    if any(os.path.isdir(f"{folder}/events") for folder in TRACEFS):
        return function()
    done: list[T] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            done.append(_with_own_tracefs(function))
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return done[0]


def _with_own_tracefs(function: Callable[[], T]) -> T:
    libc = ctypes.CDLL(None, use_errno=True)
    failed = (
        libc.unshare(CLONE_NEWNS)
        or _make_private(libc, TRACEFS[0])
        or libc.mount(b"tracefs", TRACEFS[0].encode(), b"tracefs", ctypes.c_ulong(0), None)
    )
    if failed:
        reason = os.strerror(ctypes.get_errno())
        fix = f"mount -t tracefs tracefs {TRACEFS[0]}"
        raise RefusedError(f"tracefs is not mounted and can't be ({reason})", fix=fix)
    return function()


def _make_private(libc: ctypes.CDLL, folder: str) -> bool:
    """Keeps mounts below a folder in this mount namespace; returns True if that failed, as mount does.

    New mounts propagate from the mount that holds the folder: not always `/`, which in a chroot is no mount.
    """
    while libc.mount(b"none", folder.encode(), None, ctypes.c_ulong(MS_PRIVATE), None):
        if folder == "/":
            return True
        folder = os.path.dirname(folder)
    return False
