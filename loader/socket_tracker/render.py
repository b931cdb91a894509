"""Events as text: a line of a table for people, a JSON object for programs."""

from __future__ import annotations

import errno
import json
import time
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from .filters import PROTOCOLS
from .text import duration, endpoint, sanitized, size

if TYPE_CHECKING:
    from .socket_tracker_skel import Event

COLOURS = {"connect": "32", "accept": "36", "send": "33", "close": "2", "fail": "31"}  # ECMA-48, SGR
DETAILS = "sent/received duration"
# (least width, the format of each cell); the first layout that fits is used.
LINE_LAYOUTS = (
    (117, {"time": "12", "event": "7", "proto": "5", "pid": ">7", "comm": "15.15", "local": ">21", "": "2",
           "remote": "21", DETAILS: ""}),
    (72, {"time": "8.8", "event": "7", "proto": "5", "pid": ">7", "comm": "10.10", "port": ">5", "": "2",
          "remote": "21", DETAILS: ""}),
    (0, {"event": "7", "pid": ">7", "": "2", "remote": "21"}),
)  # fmt: skip


def wall_clock(boot_ns: int) -> datetime:
    """Converts an event's time in ns since boot to UTC, by the clock as it is set now."""
    booted = time.time_ns() - time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    return datetime.fromtimestamp((booted + boot_ns) / 1e9, timezone.utc)


def kind_of(event: Event) -> str:
    """Returns an event's kind in one word: connect, fail, accept, close or send."""
    return event.kind.name.replace("EVENT_", "").lower()


def record(event: Event) -> dict[str, Any]:
    """Returns the event as JSON-ready fields, always the same ones; None for a field that its kind doesn't have.

    time           ISO 8601, UTC, in microseconds; boot_ns is the kernel's own, in ns since boot
    event          connect, fail, accept, close, send
    protocol       tcp, udp, icmp, icmp6
    direction      out (this process began) or in
    pid, tid, uid  as the initial namespaces number them; comm is the thread's name
    local_…        of this process's side; an ICMP echo's local_port is its identifier
    socket         names a socket as long as it lives
    duration_ns    connect, fail: how long connect() took; close: since connect() or accept()
    sent, received payload bytes: of the connection on close, of the datagram on send
    error          fail: the errno's name
    """
    kind = kind_of(event)
    return {
        "time": wall_clock(event.time).isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "boot_ns": event.time,
        "event": kind,
        "protocol": PROTOCOLS.get(event.protocol, str(event.protocol)),
        "direction": event.direction.name.replace("DIRECTION_", "").lower(),
        "pid": event.pid,
        "tid": event.tid,
        "uid": event.uid,
        "comm": event.comm.encode("utf-8", "surrogateescape").decode("utf-8", "replace"),
        "local_address": str(event.saddr),
        "local_port": event.sport,
        "remote_address": str(event.daddr),
        "remote_port": event.dport,
        "socket": f"{event.socket:x}",
        "duration_ns": event.duration if kind in ("connect", "fail", "close") else None,
        "sent": event.sent if kind in ("close", "send") else None,
        "received": event.received if kind == "close" else None,
        "error": errno.errorcode.get(event.error, str(event.error)) if event.error else None,
    }


class Json:
    """JSON lines."""

    def header(self) -> str:
        """Returns nothing: each line stands for itself."""
        return ""

    def line(self, event: Event) -> str:
        """Returns the event as one line of JSON, ASCII only."""
        return json.dumps(record(event)) + "\n"


class Table:
    """A table that fits `width` columns; no limit for None. The narrower, the fewer cells: see LINE_LAYOUTS."""

    def __init__(self, width: int | None, colours: bool):
        self.width, self.colours = width, colours
        self.columns = next(cells for least, cells in LINE_LAYOUTS if width is None or width >= least)

    def header(self) -> str:
        """Returns the columns' names."""
        return self._row("1", {name: name.upper() for name in self.columns})

    def line(self, event: Event) -> str:
        """Returns the event as one line. Control characters in a process's name become ?: it can't move the cursor."""
        fields = record(event)
        cells = {
            "time": wall_clock(event.time).astimezone().isoformat(timespec="milliseconds")[11:23],
            "event": fields["event"],
            "proto": fields["protocol"],
            "pid": str(fields["pid"]),
            "comm": sanitized(fields["comm"]),
            "local": endpoint(event.saddr, event.sport, event.protocol),
            "port": str(fields["local_port"]),
            "": "->" if fields["direction"] == "out" else "<-",
            "remote": endpoint(event.daddr, event.dport, event.protocol),
            DETAILS: _details(fields),
        }
        return self._row(COLOURS.get(fields["event"], ""), cells)

    def _row(self, sgr: str, cells: dict[str, str]) -> str:
        row = " ".join(format(cells[name], column) for name, column in self.columns.items())[: self.width].rstrip()
        return f"\033[{sgr}m{row}\033[0m\n" if self.colours and sgr else f"{row}\n"


def _details(fields: dict[str, Any]) -> str:
    parts = []
    if "icmp" in fields["protocol"]:
        parts.append(f"echo {fields['local_port']}")
    if fields["event"] == "fail":
        parts.append(fields["error"] or "given up")
    sizes = [size(fields[name]) for name in ("sent", "received") if fields[name] is not None]
    if sizes:
        parts.append("/".join(sizes))
    if fields["duration_ns"] is not None:
        parts.append(duration(fields["duration_ns"]))
    return " ".join(parts)
