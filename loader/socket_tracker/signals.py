"""Ctrl-C and SIGTERM end the program between two events, not within one, so that it shows what it has counted."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopSignals:
    """Raises KeyboardInterrupt for the two signals: at once, or at the end of `busy`. A second signal doesn't wait."""

    def __init__(self) -> None:
        self._busy = self._pending = False

    def listen(self) -> None:
        """Handles the signals from now on, except ignored ones: a shell's background job ignores Ctrl-C."""
        for number in STOP_SIGNALS:
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._on_signal)

    def ignore(self) -> None:
        """Ignores all further signals, so that none disturbs the end."""
        for number in STOP_SIGNALS:
            signal.signal(number, signal.SIG_IGN)

    @contextlib.contextmanager
    def busy(self) -> Iterator[None]:
        """Defers a signal to the end of the block. Raises KeyboardInterrupt."""
        self._busy, self._pending = True, False
        try:
            yield
        finally:
            self._busy = False
        if self._pending:
            raise KeyboardInterrupt

    def _on_signal(self, number: int, frame: object) -> None:
        if self._busy and not self._pending:
            self._pending = True
        else:
            raise KeyboardInterrupt
