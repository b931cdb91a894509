"""Perf event arrays that programs read counters from (bpf_perf_event_read, bpf_perf_event_read_value)."""

from __future__ import annotations

import ctypes
import os
import struct as structs

from ..errors import CallError, MapError
from .base import Map


class Counters(Map):
    """A perf event array used for counters instead of programs' output."""

    def count(self, event: str | tuple[int, int] = "cpu-cycles", pid: int = -1) -> None:
        """Puts a counter of this event for each online CPU, in place of the buffers for output.

        `event` is a name such as "cpu-cycles" or "cpu-clock", or (type, config) as numbers of linux/perf_event.h; `pid`
        counts one thread only, by a process's id its first one. The counters run until the object is destroyed. Raises
        MapError, PrivilegeError, StateError before load, ValueError for an unknown name.
        """
        from ..kernel.perf_event import EVENTS, PerfEventAttr, online_cpus, perf_event_open
        from ..kernel.privileges import privilege_error

        kind, config = EVENTS.get(event, (-1, 0)) if isinstance(event, str) else event
        if kind < 0:
            raise ValueError(f"there is no event {event!r}: give one of {', '.join(sorted(EVENTS))}, or (type, config)")
        self._require_fd()
        self._stop()
        attributes = PerfEventAttr(type=kind, size=ctypes.sizeof(PerfEventAttr), config=config)
        for cpu in online_cpus():
            try:
                fd = perf_event_open(attributes, pid, cpu)
            except CallError as error:
                what = f"{self.name}: this machine doesn't count {event} on CPU {cpu} ({error.errno_name})"
                fix = "virtual machines often have no hardware counters: try cpu-clock"
                denied = privilege_error(f"count {event}", error.errno)
                raise denied or MapError(what, fix=fix, errno=error.errno) from None
            try:
                self._call("update_elem", structs.pack("=I", cpu), structs.pack("=i", fd), 0)
            finally:
                os.close(fd)  # the map keeps the event

    def open_perf_event(self, typ: int, config: int, pid: int = -1) -> None:
        """Calls `count`; for code that comes from bcc."""
        self.count((typ, config), pid)

    def _stop(self) -> None:
        """Closes the buffers for programs' output."""
