"""Explains a refused attach to a cgroup: what is none, and what a program without BPF_F_ALLOW_MULTI shuts out."""

from __future__ import annotations

import contextlib
import os
from typing import Any

from ..errors import Explanation
from ..kernel.bpf import BPF_F_ALLOW_OVERRIDE, attached_alone
from ..kernel.host import mounts
from ..kernel.objects import program_name


def cgroups() -> str:
    """Returns the next step for what is no cgroup: where cgroup v2 is mounted, or how to mount it."""
    place = mounts(["cgroup2"]).get("cgroup2")
    return f"cgroup v2 is mounted at {place}" if place else "mount it: mount -t cgroup2 none /run/cgroup2"


def excluded(cgroup: Any, attach_type: int) -> Explanation | None:
    """Names the program that lets no other attach to a cgroup, at it or above it; None where there is none.

    It was attached by BPF_PROG_ATTACH without BPF_F_ALLOW_MULTI. With BPF_F_ALLOW_OVERRIDE it shuts out others at its
    own cgroup alone (hierarchy_allows_attach in kernel/bpf/cgroup.c).
    """
    folder = os.path.realpath(f"/proc/self/fd/{cgroup}" if isinstance(cgroup, int) else os.fspath(cgroup))
    below = False
    with contextlib.suppress(OSError):
        while os.path.exists(os.path.join(folder, "cgroup.procs")):
            fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                found = attached_alone(fd, attach_type)
            finally:
                os.close(fd)
            if found and not (below and found[0] & BPF_F_ALLOW_OVERRIDE):
                what = f"{folder} has the program {program_name(found[1])} (id {found[1]}), attached so as to allow no"
                what += f" other {'below it' if below else 'beside it'}"
                fix = "attach that one by a link or with BPF_F_ALLOW_MULTI, or end it: bpftool cgroup show"
                return Explanation(what, f"{fix} {folder}")
            folder, below = os.path.dirname(folder), True
    return None
