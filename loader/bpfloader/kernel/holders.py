"""Finds the processes that hold programs, maps and links of BPF, by the descriptors in /proc/<pid>/fdinfo."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ..text import printable
from .host import read_text

FIELD = re.compile(r"^(\w+):\s*(\S+)", re.MULTILINE)


class Process(NamedTuple):
    """A process by its id and the name that it has chosen, with escapes for what can't be printed."""

    pid: int
    name: str


class Descriptor(NamedTuple):
    """A BPF descriptor of a process, and the fields of its fdinfo (bpf_prog_show_fdinfo and its like)."""

    process: Process
    fields: dict[str, str]


class Holders(NamedTuple):
    """The processes that hold programs, maps and links, by id. Those of other users are seen by root alone.

    Who holds a program's link holds the program.
    """

    programs: dict[int, list[Process]]
    links: dict[int, list[Process]]
    maps: dict[int, list[Process]]


def holders(among: Iterable[Descriptor] | None = None) -> Holders:
    """Groups the descriptors of all processes that this one may see, or those given."""
    found = Holders({}, {}, {})
    by_field = {"prog_id": found.programs, "link_id": found.links, "map_id": found.maps}
    for process, fields in descriptors() if among is None else among:
        for field, held in by_field.items():
            if fields.get(field, "").isdigit():
                owners = held.setdefault(int(fields[field]), [])
                if process not in owners:
                    owners.append(process)
    return found


def descriptors() -> Iterator[Descriptor]:
    """Yields the BPF descriptors of all processes that this one may see."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        process = Process(int(pid), "")
        for fdinfo in _bpf_descriptors(pid):
            process = process if process.name else process._replace(name=_name(pid))
            yield Descriptor(process, dict(FIELD.findall(fdinfo)))


def _name(pid: str) -> str:
    """Reads the name of a process, which may have chosen any bytes for it."""
    return printable(read_text(f"/proc/{pid}/comm")).replace("\t", "\\t") or "?"


def _bpf_descriptors(pid: str) -> Iterator[str]:
    """Yields the text of fdinfo for each program, map or link that a process has open."""
    for place in _places(pid):
        descriptors: Iterable[str] = ()
        with contextlib.suppress(OSError):
            descriptors = os.listdir(f"{place}/fd")
        for each in descriptors:
            with contextlib.suppress(OSError):
                if os.readlink(f"{place}/fd/{each}").startswith("anon_inode:bpf"):
                    yield read_text(f"{place}/fdinfo/{each}")
        if descriptors:
            return


def _places(pid: str) -> Iterator[str]:
    """Yields where a process's descriptors are: under its pid or, where its first thread has ended, under others."""
    yield f"/proc/{pid}"
    with contextlib.suppress(OSError):
        yield from (f"/proc/{pid}/task/{thread}" for thread in os.listdir(f"/proc/{pid}/task"))
