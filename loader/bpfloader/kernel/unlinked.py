"""Finds programs that are attached without a link: to perf events, cgroups, the network namespace and sockmaps.

The kernel tells of those by the place that they are attached to (BPF_PROG_QUERY), and for perf events by the descriptor
that a process has (BPF_TASK_FD_QUERY). Those of interfaces are in detach/attachments.py.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import struct
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import NamedTuple

from ..text import text_of
from . import bpf
from .attach_type import AttachType
from .host import mounts
from .link_places import MAX_CGROUPS, attach_type_name

MAX_PROGRAMS = 64  # at one place: BPF_CGROUP_MAX_PROGS of linux/bpf-cgroup-defs.h
MAX_EVENTS = 10_000  # perf events that are asked about
MAX_TEXT = 4096
# enum bpf_task_fd_type of linux/bpf.h, as SEC() spells it.
FD_TYPES = "raw_tp", "tracepoint", "kprobe", "kretprobe", "uprobe", "uretprobe"
CGROUP_TYPES = [each for each in AttachType if each.name.startswith("CGROUP_")]
NAMESPACE_TYPES = AttachType.FLOW_DISSECTOR, AttachType.SK_LOOKUP
SOCKMAP_TYPES = (
    AttachType.SK_SKB_STREAM_PARSER, AttachType.SK_SKB_STREAM_VERDICT, AttachType.SK_MSG_VERDICT,
    AttachType.SK_SKB_VERDICT,
)  # fmt: skip


class PlacedProgram(NamedTuple):
    """A program by its id, and its place in words, as link_place has it for a link."""

    program: int
    place: str


def cgroup_programs() -> Iterator[PlacedProgram]:
    """Yields the programs of all cgroups below the mount of cgroup v2, those of links among them."""
    root = mounts(["cgroup2"]).get("cgroup2", "")
    for folder, _, _ in islice(os.walk(root), MAX_CGROUPS) if root else ():
        yield from _at(folder, CGROUP_TYPES, folder)


def namespace_programs() -> Iterator[PlacedProgram]:
    """Yields the programs of this thread's network namespace."""
    path = "/proc/thread-self/ns/net"
    with contextlib.suppress(OSError):
        yield from _at(path, NAMESPACE_TYPES, f"network namespace {os.stat(path).st_ino} (this one)")


def sockmap_programs(fd: int, number: int) -> Iterator[PlacedProgram]:
    """Yields the programs of a sockmap or sockhash, by its descriptor and id (Linux 5.18)."""
    yield from _queried(fd, SOCKMAP_TYPES, f"map {number}")


def _at(path: str, kinds: Iterable[AttachType], place: str) -> Iterator[PlacedProgram]:
    with contextlib.suppress(OSError):  # it has gone meanwhile
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            yield from _queried(fd, kinds, place)
        finally:
            os.close(fd)


def _queried(fd: int, kinds: Iterable[AttachType], place: str) -> Iterator[PlacedProgram]:
    room = (ctypes.c_uint32 * MAX_PROGRAMS)()
    for kind in kinds:
        ctypes.memset(room, 0, ctypes.sizeof(room))
        with contextlib.suppress(OSError):  # the kernel has no such kind, or doesn't let this process ask
            bpf.query_programs(fd, kind, room)
            yield from (PlacedProgram(each, f"{attach_type_name(kind)} {place}") for each in room if each)


def perf_event_programs() -> Iterator[PlacedProgram]:
    """Yields the programs at perf events of all processes that this one may see: kprobes, uprobes and tracepoints.

    The kernel doesn't tell of programs that sample (SEC("perf_event")), and asks for CAP_SYS_ADMIN.
    """
    for pid, fd in islice(_perf_events(), MAX_EVENTS):
        with contextlib.suppress(OSError):
            yield _at_perf_event(pid, fd)


def _perf_events() -> Iterator[tuple[int, int]]:
    """Yields processes and their descriptors that are perf events."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        numbers: list[str] = []
        with contextlib.suppress(OSError):
            numbers = os.listdir(f"/proc/{pid}/fd")
        for number in numbers:
            with contextlib.suppress(OSError):
                if os.readlink(f"/proc/{pid}/fd/{number}") == "anon_inode:[perf_event]":
                    yield int(pid), int(number)


def _at_perf_event(pid: int, fd: int) -> PlacedProgram:
    """Asks about a perf event of a process. Raises OSError where no program is there."""
    text = ctypes.create_string_buffer(MAX_TEXT)
    told = bpf.query_descriptor(pid, fd, text)
    program, kind, offset = struct.unpack_from("=IIQ", told, 24)
    name = FD_TYPES[kind] if kind < len(FD_TYPES) else f"descriptor of type {kind}"
    return PlacedProgram(program, f"{name} {text_of(text.value)}" + (f"+{offset:#x}" if offset else ""))
