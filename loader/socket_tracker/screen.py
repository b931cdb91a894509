"""A terminal that is drawn over in place (ECMA-48, and xterm's alternate screen), and the keys pressed on it."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import sys
import termios
import tty
from collections.abc import Iterator, Sequence
from typing import Any

ENTER, LEAVE = "\033[?1049h\033[?25l", "\033[?25h\033[?1049l"  # the alternate screen, without a cursor
HOME, END_OF_LINE, END_OF_SCREEN = "\033[H", "\033[K", "\033[J"


def is_terminal() -> bool:
    """Returns True if stdout is a terminal that can be drawn on."""
    return sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"


def wants_colours() -> bool:
    """Returns True if stdout takes colours (no-color.org)."""
    return is_terminal() and not os.environ.get("NO_COLOR")


class Screen:
    """The terminal while the table is on it. Reads keys from stdin if that is a terminal of this process."""

    def __init__(self) -> None:
        self.colours = wants_colours()
        self._keyboard = sys.stdin.fileno() if _is_ours() else None
        self._saved: list[Any] = []

    @contextlib.contextmanager
    def shown(self) -> Iterator[Screen]:
        """Takes over the terminal for the `with`; gives it back at the end, and while Ctrl-Z stops the program."""
        self._enter()
        before = {number: signal.signal(number, handle) for number, handle in self._handlers().items()}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            self._leave()

    def size(self) -> os.terminal_size:
        """Returns the terminal's columns and lines."""
        return shutil.get_terminal_size()

    def draw(self, lines: Sequence[str]) -> None:
        """Draws the lines over those before; the second is the heading. Raises OSError."""
        heading = f"\033[7m{lines[1]}\033[0m" if self.colours else lines[1]
        rows = f"{END_OF_LINE}\n".join([lines[0], heading, *lines[2:]])
        sys.stdout.write(f"{HOME}{rows}{END_OF_LINE}{END_OF_SCREEN}")
        sys.stdout.flush()

    def wait(self, ring: int, seconds: float) -> str:
        """Returns the key pressed within so many seconds, "" for none; early when the descriptor is readable."""
        poll = select.poll()
        poll.register(ring, select.POLLIN)
        if self._keyboard is not None:
            poll.register(self._keyboard, select.POLLIN)
        ready = dict(poll.poll(max(0.0, seconds) * 1000))
        if self._keyboard is None or self._keyboard not in ready:
            return ""
        key = os.read(self._keyboard, 1).decode("latin-1")
        if not key:  # the terminal is gone
            self._keyboard = None
        return key

    def _handlers(self) -> dict[int, Any]:
        return {signal.SIGTSTP: self._stop, signal.SIGWINCH: lambda *_: None}

    def _stop(self, number: int, _: object) -> None:
        self._leave()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        signal.signal(number, self._stop)  # here again: somebody said `fg`
        self._enter()

    def _enter(self) -> None:
        if self._keyboard is not None:
            self._saved = termios.tcgetattr(self._keyboard)
            tty.setcbreak(self._keyboard)
        sys.stdout.write(ENTER)
        sys.stdout.flush()

    def _leave(self) -> None:
        if self._keyboard is not None and self._saved:
            with contextlib.suppress(termios.error):
                termios.tcsetattr(self._keyboard, termios.TCSADRAIN, self._saved)
        with contextlib.suppress(OSError):
            sys.stdout.write(LEAVE)
            sys.stdout.flush()


def _is_ours() -> bool:
    """Returns True if this process may read the terminal on stdin: in the background, reading would stop it."""
    try:
        return sys.stdin.isatty() and os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except (OSError, ValueError):
        return False
