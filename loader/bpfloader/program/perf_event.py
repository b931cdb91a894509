"""Programs at perf events: samples by the clock, by counters of the processor or of the kernel."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import re
from itertools import product

from ..errors import AttachError, CallError
from ..kernel.host import kernel_is_before, read_text
from ..kernel.perf_event import EVENTS, PerfEventAttr, online_cpus, perf_event_open
from ..libbpf.structs import PerfEventOptions, sized
from ..link.base import GroupLink, Link
from ..signals import DeferredSignals
from ..suggest import suggestion
from .base import Program


def threads_of(pid: int) -> list[int]:
    """Returns the threads of a process; none for the id of another thread than its first, or where it isn't there."""
    try:
        if int(re.findall(r"^Tgid:\t(\d+)$", read_text(f"/proc/{pid}/status"), re.MULTILINE)[0]) == pid:
            return sorted(map(int, os.listdir(f"/proc/{pid}/task")))
    except (OSError, IndexError):
        pass
    return []


class PerfEventProgram(Program):
    """SEC("perf_event"): at each sample of a perf event."""

    def attach(
        self,
        event: str | tuple[int, int] = "cpu-clock",
        *,
        frequency: int = 0,
        period: int = 0,
        pid: int = -1,
        cpu: int = -1,
        cookie: int = 0,
    ) -> Link:
        """Attaches to an event: a name such as "cpu-clock", "page-faults", "cpu-cycles", or (type, config) as numbers.

        It samples `frequency` times a second, or every `period` events; give one of them. `pid` is one process, 0 this
        one, -1 all; the id of a thread that is no process's is that thread alone. `cpu` is one CPU, -1 all. The link
        holds an event for each thread, those that begin later included, or without a process one for each CPU. Raises
        AttachError, PrivilegeError, StateError, ValueError.
        """
        if bool(frequency) == bool(period):
            raise ValueError("give one of frequency (samples a second) and period (events a sample)")
        if isinstance(event, str) and event not in EVENTS:
            fix = suggestion(event, EVENTS, f"give one of {', '.join(EVENTS)}, or (type, config)")
            raise AttachError(f"can't attach {self.name}: there is no event {event}", fix=fix, program=self.name)
        kind, config = EVENTS[event] if isinstance(event, str) else event
        attributes = PerfEventAttr(type=kind, size=ctypes.sizeof(PerfEventAttr), config=config)
        attributes.sample_period, attributes.freq = frequency or period, bool(frequency)
        threads = threads_of(pid or os.getpid()) if pid >= 0 else []
        attributes.inherit = bool(threads)  # to threads that they start; before Linux 5.13 to processes as well
        attributes.inherit_thread = bool(threads) and not kernel_is_before("5.13")
        tasks = threads or [pid]
        cpus = online_cpus() if pid == cpu == -1 else [cpu]
        with self._owner.lock, DeferredSignals(), contextlib.ExitStack() as undo:
            links: list[Link] = []
            for task, each in product(tasks, cpus):
                try:
                    links.append(self._event(attributes, task, each, cookie))
                except AttachError as error:
                    if error.errno != errno.ESRCH or (not links and task == tasks[-1]):
                        raise  # else a thread that has ended meanwhile
                    continue
                undo.callback(links[-1].detach)
            undo.pop_all()
            return links[0] if len(links) == 1 else GroupLink(self._owner, self.name, links)

    def _event(self, attributes: PerfEventAttr, pid: int, cpu: int, cookie: int) -> Link:
        """Opens one perf event and attaches to it; the link owns the event's descriptor."""
        self._loaded_handle()
        try:
            fd = perf_event_open(attributes, pid, cpu)
        except CallError as error:
            request = {"event": (attributes.type, attributes.config), "pid": pid, "cpu": cpu}
            request["frequency"] = attributes.sample_period if attributes.freq else 0
            from ..diagnose.refusal import attach_refused

            raise attach_refused(self.name, error, (), self.section, request) from None
        try:
            options = sized(PerfEventOptions, bpf_cookie=cookie)
            return self._link("attach_perf_event_opts", fd, options)
        except BaseException:
            os.close(fd)
            raise
