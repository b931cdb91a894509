"""Ctrl-C and SIGTERM, which end the program between two events and not within one: what was counted is shown."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator

NUMBERS = (signal.SIGINT, signal.SIGTERM)


class Ending:
    """The two signals as KeyboardInterrupt: at once, or at the end of `busy`. The second one doesn't wait."""

    def __init__(self) -> None:
        self._busy = self._asked = False

    def listen(self) -> None:
        """Takes the signals from now on, but for those that are ignored: a shell's background job ignores Ctrl-C."""
        for number in NUMBERS:
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._come)

    def ignore(self) -> None:
        """Lets no further signal disturb what is left to do."""
        for number in NUMBERS:
            signal.signal(number, signal.SIG_IGN)

    @contextlib.contextmanager
    def busy(self) -> Iterator[None]:
        """Lets a signal wait until the end of the block. Raises KeyboardInterrupt."""
        self._busy, self._asked = True, False
        try:
            yield
        finally:
            self._busy = False
        if self._asked:
            raise KeyboardInterrupt

    def _come(self, number: int, frame: object) -> None:
        if self._busy and not self._asked:
            self._asked = True
        else:
            raise KeyboardInterrupt
