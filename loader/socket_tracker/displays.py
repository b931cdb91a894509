"""Displays of events: a line each, a live table, tables one below the other."""

from __future__ import annotations

import shutil
import sys
import time
from typing import TYPE_CHECKING, Protocol

from .frame import View, frame
from .screen import Screen
from .tally import Tally
from .watch import Watch

if TYPE_CHECKING:
    from .render import Json, Table
    from .socket_tracker_skel import Event

DEFAULT_WIDTH = 132  # columns of a table that goes to a file or a pipe


class Display(Protocol):
    """Shows the events of a Watch."""

    def run(self) -> None:
        """Shows until the time is up. Raises KeyboardInterrupt, OSError."""

    def end(self) -> None:
        """Shows what is left once no more events come. Raises OSError."""


class LineDisplay:
    """A line for each event."""

    def __init__(self, watch: Watch, format: Json | Table):
        self._watch, self._format = watch, format
        watch.show = self._show

    def _show(self, event: Event) -> None:
        sys.stdout.write(self._format.line(event))

    def run(self) -> None:
        """Writes events, flushing whenever there is none to come."""
        sys.stdout.write(self._format.header())
        sys.stdout.flush()
        while (left := self._watch.left) > 0:
            if self._watch.ring.poll(min(left, 1.0)):
                self._watch.drain()
                sys.stdout.flush()
            self._watch.report_loss()

    def end(self) -> None:
        """Does nothing: each event has its line."""


class TableDisplay:
    """A table of counted events. Base of LiveTable and PrintedTables."""

    def __init__(self, watch: Watch, view: View, interval: float):
        self._watch, self._view, self._interval = watch, view, interval
        self._tally = Tally()
        watch.show = self._tally.add

    def lines(self, columns: int, height: int | None = None) -> list[str]:
        """Returns the table as it is now."""
        tally, view = self._tally, self._view
        left_out = f"; {tally.forgotten} rows left out" if tally.forgotten else ""
        status = f"{self._watch.lost()}; {tally.events} events{left_out}; by {view.by}, {view.sort}"
        return frame(tally, view, f"{status}; {self._watch.tracker.variant}", columns, height)


class LiveTable(TableDisplay):
    """A table on a terminal, drawn in place."""

    def run(self) -> None:
        """Draws the table after each interval and each key, until q is pressed."""
        with (screen := Screen()).shown():
            screen.draw(self.lines(*screen.size()))
            due = time.monotonic() + self._interval
            while (left := self._watch.left) > 0:
                key = screen.wait(self._watch.ring.fileno(), min(due - time.monotonic(), left))
                self._watch.drain()
                if key == "q":
                    return
                if self._view.pressed(key) or time.monotonic() >= due:
                    screen.draw(self.lines(*screen.size()))
                    due = time.monotonic() + self._interval

    def end(self) -> None:
        """Does nothing: the terminal is as it was before."""


class PrintedTables(TableDisplay):
    """Tables where there is no terminal: one after each interval, and one at the end."""

    def run(self) -> None:
        """Prints the tables."""
        due = time.monotonic() + self._interval
        while (left := self._watch.left) > 0:
            self._watch.ring.poll(max(0.0, min(due - time.monotonic(), left)))
            self._watch.drain()
            if time.monotonic() >= due and self._watch.left > 0:
                self.end()
                due = time.monotonic() + self._interval

    def end(self) -> None:
        """Prints the table as it is now, and an empty line."""
        lines = self.lines(shutil.get_terminal_size((DEFAULT_WIDTH, 0)).columns)
        print("\n".join(lines), end="\n\n", flush=True)
