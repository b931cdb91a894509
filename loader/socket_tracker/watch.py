"""Watches the tracker: shows the wanted events, counts the lost ones, ends on time."""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, TextIO

from .render import kind_of

if TYPE_CHECKING:
    from .filters import Filters
    from .signals import StopSignals
    from .socket_tracker_skel import Event
    from .tracker import SocketTracker

CONSUME_LIMIT = 4096  # events consumed before something else gets its turn


class Losses(NamedTuple):
    """Counts of the events and connections that found no room."""

    events: int
    connections: int

    def __str__(self) -> str:
        return f"{self.events} lost" + (f", {self.connections} connections not followed" if self.connections else "")


class Watch:
    """The tracker while it is watched: its counts, its losses, the time left.

    `show` is called with each wanted event.
    """

    show: Callable[[Event], Any]

    def __init__(self, tracker: SocketTracker, wanted: Filters, duration: float, stop_signals: StopSignals):
        self.tracker, self.ring, self.counts = tracker, tracker.maps.events, Counter[str]()
        self._wants, self._wants_connection = wanted.events(), wanted.connections()
        self._end, self._stop_signals = time.monotonic() + duration, stop_signals
        self._reported, self._next = self.lost(), 0.0

    @property
    def left(self) -> float:
        """Seconds until the end."""
        return self._end - time.monotonic()

    def drain(self) -> int:
        """Shows the wanted ones of the events that are there; returns how many there were, CONSUME_LIMIT at most."""

        def show_wanted(event: Event) -> None:
            if self._wants(event):
                self.counts[kind_of(event)] += 1
                self.show(event)

        with self._stop_signals.busy():
            return self.ring.consume(show_wanted, CONSUME_LIMIT)

    def finish(self) -> None:
        """Detaches the programs, so that no more events come, and shows those that are still there."""
        for link in list(self.tracker.links):
            link.detach()
        while self.drain():
            pass

    def lost(self) -> Losses:
        """Returns how many have found no room until now."""
        bss = self.tracker.bss
        return Losses(bss.events_lost, bss.connections_lost)

    def report_loss(self) -> None:
        """Writes to stderr, at most once a second, that more was lost."""
        now = time.monotonic()
        if now >= self._next and (lost := self.lost()) != self._reported:
            self._reported, self._next = lost, now + 1
            say(f"{lost} so far: this machine is busier than the tracker; a filter or a larger --buffer helps")

    def summary(self) -> str:
        """Returns the counts of events by kind, the losses, the connections still open."""
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(self.counts.items())) or "none"
        still = sum(map(self._wants_connection, self.tracker.maps.connections.values()))
        return f"events: {kinds}; {self.lost()}; {still} connections still open"


def say(text: str) -> None:
    """Prints a line for the user to stderr."""
    try:
        print(f"socket_tracker: {text}", file=sys.stderr, flush=True)
    except OSError:
        discard_output(sys.stderr)


def discard_output(stream: TextIO) -> None:
    """Sends what is still to be written to a broken stream to /dev/null, so that Python's last flush is quiet."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
