"""Counts events by connection or by process: the rows of the live table."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from .filters import PROTOCOLS
from .text import duration, endpoint, sanitized, size

if TYPE_CHECKING:
    from .socket_tracker_skel import Event

MAX_ROWS = 10_000  # drops the row without news for the longest time first
STATES = {1: "open", 2: "failed", 3: "open", 4: "closed", 5: ""}  # by event_kind


class Row:
    """The events of a connection or process: who, how many, how many bytes, since and until when (ns since boot)."""

    def __init__(self, event: Event):
        self.pid, self.protocol, self.direction = event.pid, event.protocol, event.direction
        self.saddr, self.sport, self.daddr, self.dport = event.saddr, event.sport, event.daddr, event.dport
        self.since = event.since
        self.events = self.sent = self.received = self.open = self.failed = self.last = 0
        self.comm, self.state = "", ""

    def add(self, event: Event, was: str) -> str:
        """Counts an event of a connection that was in state `was`; returns its new state."""
        state = STATES.get(event.kind, "")
        self.events += 1
        self.sent += event.sent
        self.received += event.received
        self.open += (state == "open") - (was == "open")
        self.failed += state == "failed"
        self.last, self.comm, self.state = event.time, event.comm, state
        return state

    @property
    def age(self) -> int:
        """The time in ns for which it has been open, or was seen."""
        return (time.clock_gettime_ns(time.CLOCK_BOOTTIME) if self.open > 0 else self.last) - self.since

    def cells(self) -> dict[str, str]:
        """Returns the row's text by column."""
        return {
            "state": self.state,
            "proto": PROTOCOLS.get(self.protocol, str(self.protocol)),
            "pid": str(self.pid),
            "comm": sanitized(self.comm.encode("utf-8", "surrogateescape").decode("utf-8", "replace")),
            "local": endpoint(self.saddr, self.sport, self.protocol),
            "": "->" if self.direction == 1 else "<-",
            "remote": endpoint(self.daddr, self.dport, self.protocol),
            "open": str(max(0, self.open)),
            "failed": str(self.failed),
            "events": str(self.events),
            "sent": size(self.sent),
            "recv": size(self.received),
            "age": duration(max(0, self.age)),
        }


class Tally:
    """The rows by connection and by process. `forgotten` counts those dropped for want of room."""

    def __init__(self, max_rows: int = MAX_ROWS):
        self.max_rows, self.forgotten, self.events = max_rows, 0, 0
        self._connections: dict[Any, Row] = {}
        self._processes: dict[Any, Row] = {}

    def add(self, event: Event) -> None:
        """Counts an event."""
        self.events += 1
        ends = event.saddr, event.sport, event.daddr, event.dport
        connection = self._row(self._connections, (event.pid, event.protocol, *ends), event)
        if event.kind in (1, 2, 3):  # a new connection between the same ends
            connection.since = event.since
        was = connection.state
        connection.add(event, was)
        self._row(self._processes, event.pid, event).add(event, was)

    def rows(self, by: str) -> Iterable[Row]:
        """Returns all rows by "connection" or "process"."""
        return (self._processes if by == "process" else self._connections).values()

    def _row(self, rows: dict[Any, Row], key: object, event: Event) -> Row:
        row = rows.pop(key, None) or Row(event)
        rows[key] = row  # behind those without news
        if len(rows) > self.max_rows:
            del rows[next(iter(rows))]
            self.forgotten += 1
        return row


SORTS = ("last", "sent", "received", "events", "open", "age", "pid", "comm")


def ordered(rows: Iterable[Row], by: str, reverse: bool = False) -> list[Row]:
    """Sorts rows: the largest first, of equals the latest; `pid` and `comm` from the smallest."""
    latest = sorted(rows, key=lambda row: row.last, reverse=True)
    return sorted(latest, key=lambda row: getattr(row, by), reverse=(by not in ("pid", "comm")) != reverse)
