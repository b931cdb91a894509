"""bcc's polls of an object's buffers, which call the callbacks opened on its maps (see rings/callback.py)."""

from __future__ import annotations

from typing import Any


class BccPolling:
    """The methods of bcc's BPF object for its buffers. A base of Object."""

    parts: list[Any]

    def ring_buffer_poll(self, timeout: int = -1) -> None:
        """Waits up to `timeout` ms for a record, without end for -1, and calls the callbacks of opened ring buffers."""
        self._serve("ring", timeout)

    def ring_buffer_consume(self) -> None:
        """Calls the callbacks of opened ring buffers for the available records."""
        self._serve("ring", 0)

    def perf_buffer_poll(self, timeout: int = -1) -> None:
        """Waits up to `timeout` ms for a record, without end for -1, and calls the callbacks of opened perf buffers."""
        self._serve("perf", timeout)

    def perf_buffer_consume(self) -> None:
        """Calls the callbacks of opened perf buffers for the available records."""
        self._serve("perf", 0)

    def _serve(self, kind: str, timeout: int) -> None:
        from ..rings.poll import poll

        every = (getattr(part, "subscription", None) for part in self.parts)
        subscriptions = [each for each in every if each and each.kind == kind]
        seconds = None if timeout < 0 else timeout / 1000
        if any(each.undelivered for each in subscriptions):
            seconds = 0
        poll([each.buffer for each in subscriptions], seconds)
        for each in subscriptions:
            each.deliver()
