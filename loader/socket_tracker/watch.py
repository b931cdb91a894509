"""The tracker while it is watched: which of its events are shown, what is lost, and when it ends."""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TextIO

from .render import kind_of

if TYPE_CHECKING:
    from .ending import Ending
    from .filters import Filters
    from .socket_tracker_skel import Event
    from .tracker import SocketTracker

AT_ONCE = 4096  # events taken before something else gets its turn


class Watch:
    """The tracker while it is watched: what has come, what was lost, how long it may still take.

    `show` is what is done with an event that is wanted.
    """

    show: Callable[[Event], Any]

    def __init__(self, tracker: SocketTracker, wanted: Filters, duration: float, ending: Ending):
        self.tracker, self.ring, self.counts = tracker, tracker.maps.events, Counter[str]()
        self._wants, self._wants_connection = wanted.events(), wanted.connections()
        self._end, self._ending = time.monotonic() + duration, ending
        self._told, self._next = self.lost(), 0.0

    @property
    def left(self) -> float:
        """Seconds until the end."""
        return self._end - time.monotonic()

    def take(self) -> int:
        """Shows the wanted ones of the events that are there; how many there were, AT_ONCE at most."""

        def take(event: Event) -> None:
            if self._wants(event):
                self.counts[kind_of(event)] += 1
                self.show(event)

        with self._ending.busy():
            return self.ring.consume(take, AT_ONCE)

    def finish(self) -> None:
        """Detaches the programs, so that no more events come, and shows those that are still there."""
        for link in list(self.tracker.links):
            link.detach()
        while self.take():
            pass

    def lost(self) -> tuple[int, int]:
        """How many events, and how many connections, found no room."""
        bss = self.tracker.bss
        return bss.events_lost, bss.connections_lost

    def tell_loss(self) -> None:
        """Says on stderr, at most once a second, that more was lost."""
        now = time.monotonic()
        if now >= self._next and (lost := self.lost()) != self._told:
            self._told, self._next = lost, now + 1
            say(f"{loss(*lost)} so far: this machine is busier than the tracker; a filter or a larger --buffer helps")

    def summary(self) -> str:
        """What came, what was lost, what is still open."""
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(self.counts.items())) or "none"
        still = sum(map(self._wants_connection, self.tracker.maps.connections.values()))
        return f"events: {kinds}; {loss(*self.lost())}; {still} connections still open"


def loss(events: int, connections: int) -> str:
    """What was lost, in words."""
    return f"{events} lost" + f", {connections} connections not followed" * bool(connections)


def say(text: str) -> None:
    """Tells the user something, on stderr."""
    try:
        print(f"socket_tracker: {text}", file=sys.stderr, flush=True)
    except OSError:
        abandon(sys.stderr)


def abandon(stream: TextIO) -> None:
    """Lets what is still to be written to a broken stream vanish, so that Python's own flush at the end is quiet."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
