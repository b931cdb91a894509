"""Prints the progress of fetches and of other long steps: a bar on a terminal, short lines in a log."""

import os
import threading
import time
from collections.abc import Mapping
from typing import TextIO

from .escape import printable

REDRAW = 0.1  # seconds between two drawings of the bar: more often only flickers
LOG_EVERY = 30  # seconds between two lines that say in a log how far a step is
BAR = 24
YELLOW, RESET = "\x1b[33m", "\x1b[0m"
CLEAR = "\r\x1b[K"


class Reporter:
    """Receives the progress of long steps, and prints nothing. Its methods may be called from several threads."""

    def notice(self, text: str) -> None:
        """Receives a text that the user should know, and that is no error."""

    def progress(self, name: str, done: int, total: int | None) -> None:
        """Receives that `done` of `total` bytes of an artifact are here; `total` is None where nobody knows."""

    def status(self, name: str, text: str) -> None:
        """Receives in words how far a step that takes minutes is."""

    def done(self, name: str, size: int, source: str) -> None:
        """Receives that an artifact of `size` bytes arrived whole and verified."""

    def stopped(self, name: str) -> None:
        """Receives that an artifact's transfer ended without it, or that a step is over."""


class Console(Reporter):
    """Prints on a stream. `live` draws a bar that the next line replaces, `colour` marks notices."""

    def __init__(self, stream: TextIO, live: bool = False, colour: bool = False):
        self.stream, self.live, self.colour = stream, live, colour
        self._lock = threading.Lock()
        self._running: dict[str, tuple[int, int | None] | str] = {}
        self._logged: dict[str, float] = {}
        self._drawn = 0.0

    def notice(self, text: str) -> None:
        """Prints a line `ebpf: …`, yellow where colours are wanted."""
        line = f"ebpf: {printable(text)}"
        self._line(f"{YELLOW}{line}{RESET}" if self.colour else line)

    def progress(self, name: str, done: int, total: int | None) -> None:
        """Draws the bar, at most ten times a second; nothing in a log."""
        with self._lock:
            self._show(name, (done, total))

    def status(self, name: str, text: str) -> None:
        """Draws the text in the bar's place; in a log, prints it each half a minute."""
        with self._lock:
            self._show(name, text)
            now = time.monotonic()
            if not self.live and now - self._logged.setdefault(name, now) >= LOG_EVERY:
                self._logged[name] = now
                self._write(f"ebpf: {printable(name)}: {printable(text)}\n")

    def done(self, name: str, size: int, source: str) -> None:
        """Prints a line with size and source."""
        self.stopped(name)
        self._line(f"ebpf: fetched {printable(name)}, {amount(size)}, from {printable(source)}")

    def stopped(self, name: str) -> None:
        """Clears the bar of this artifact, or the text of this step."""
        with self._lock:
            self._logged.pop(name, None)
            if self._running.pop(name, None) and self.live:
                self._write(CLEAR)

    def _line(self, text: str) -> None:
        with self._lock:
            self._write(f"{CLEAR if self.live else ''}{text}\n")
            if self.live and self._running:
                self._draw()

    def _show(self, name: str, state: tuple[int, int | None] | str) -> None:
        self._running[name] = state
        if self.live and time.monotonic() - self._drawn >= REDRAW:
            self._draw()

    def _draw(self) -> None:
        self._drawn = time.monotonic()
        text = "  ".join(_drawn(printable(name), state) for name, state in sorted(self._running.items()))
        self._write(CLEAR + text[: _width(self.stream) - 1])

    def _write(self, text: str) -> None:
        try:
            self.stream.write(text)
            self.stream.flush()
        except UnicodeEncodeError:
            self.stream.write(text.encode("ascii", "backslashreplace").decode("ascii"))


def console_for(stream: TextIO, environ: Mapping[str, str]) -> Console:
    """Makes a Console that fits a stream.

    It is live on a terminal that isn't `dumb`, and has colours there but for NO_COLOR (no-color.org).
    """
    live = stream.isatty() and environ.get("TERM", "dumb") != "dumb"
    return Console(stream, live, live and not environ.get("NO_COLOR"))


def amount(size: int) -> str:
    """Returns a number of bytes as a person reads it, in decimal units."""
    if size < 1000:
        return f"{size} bytes"
    return f"{size / 1e3:.0f} kB" if size < 1e6 else f"{size / 1e6:.1f} MB"


def bar(name: str, done: int, total: int | None) -> str:
    """Draws `name [####----] 50 %  1.2 MB`, or only the amount where the total isn't known."""
    if not total:
        return f"{name} {amount(done)}"
    part = min(done / total, 1)
    filled = int(part * BAR)
    return f"{name} [{'#' * filled}{'-' * (BAR - filled)}] {part:.0%} of {amount(total)}"


def _drawn(name: str, state: tuple[int, int | None] | str) -> str:
    return f"{name}: {printable(state)}" if isinstance(state, str) else bar(name, *state)


def _width(stream: TextIO) -> int:
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except (OSError, ValueError):
        return 80
