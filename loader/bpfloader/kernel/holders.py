"""Finds the processes that hold programs and links of BPF, by the ids in /proc/<pid>/fdinfo (bpf_prog_show_fdinfo)."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from .host import read_text

IDS = re.compile(r"^(prog_id|link_id):\s*(\d+)$", re.MULTILINE)


class Process(NamedTuple):
    """A process by its id and the name that it has chosen."""

    pid: int
    name: str


class Holders(NamedTuple):
    """The processes that hold programs and links, by id. Those of other users are seen by root alone."""

    programs: dict[int, list[Process]]
    links: dict[int, list[Process]]


def holders() -> Holders:
    """Looks at the descriptors of all processes that this one may see."""
    found = Holders({}, {})
    for pid in filter(str.isdigit, os.listdir("/proc")):
        process = Process(int(pid), "")
        for fdinfo in _bpf_descriptors(pid):
            for field, number in IDS.findall(fdinfo):
                held = found.links if field == "link_id" else found.programs
                process = process if process.name else process._replace(name=read_text(f"/proc/{pid}/comm") or "?")
                owners = held.setdefault(int(number), [])
                if process not in owners:
                    owners.append(process)
    return found


def _bpf_descriptors(pid: str) -> Iterator[str]:
    """Yields the text of fdinfo for each program or link that a process has open."""
    descriptors: Iterable[str] = ()
    with contextlib.suppress(OSError):
        descriptors = os.listdir(f"/proc/{pid}/fd")
    for each in descriptors:
        with contextlib.suppress(OSError):
            if os.readlink(f"/proc/{pid}/fd/{each}").startswith("anon_inode:bpf"):
                yield read_text(f"/proc/{pid}/fdinfo/{each}")
