"""The names that bcc's BPF object has for its buffers: a poll of the object calls the callbacks opened on its maps.

See rings/callback.py for what a callback is given.
"""

from __future__ import annotations

from typing import Any


class BccPolling:
    """What bcc's BPF object has for its buffers. A base of Object."""

    parts: list[Any]

    def ring_buffer_poll(self, timeout: int = -1) -> None:
        """Calls the callbacks of opened ring buffers, after waiting up to `timeout` ms for a record; -1: without end."""
        self._serve("ring", timeout)

    def ring_buffer_consume(self) -> None:
        """Calls the callbacks of opened ring buffers for the records that are there."""
        self._serve("ring", 0)

    def perf_buffer_poll(self, timeout: int = -1) -> None:
        """Calls the callbacks of opened perf buffers, after waiting up to `timeout` ms for a record; -1: without end."""
        self._serve("perf", timeout)

    def perf_buffer_consume(self) -> None:
        """Calls the callbacks of opened perf buffers for the records that are there."""
        self._serve("perf", 0)

    def _serve(self, kind: str, timeout: int) -> None:
        from ..rings.poll import poll

        every = (getattr(part, "subscription", None) for part in self.parts)
        subscriptions = [each for each in every if each and each.kind == kind]
        at_once = not timeout or any(each.undelivered for each in subscriptions)
        poll([each.buffer for each in subscriptions], 0 if at_once else None if timeout < 0 else timeout / 1000)
        for each in subscriptions:
            each.deliver()
