"""Tells how far a guest has come while it runs: by its serial output, in which it reports."""

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..console import Reporter
from .tests import BAD, OUTCOMES
from .wire import number_of, reports, text_of

POLL = 0.5  # seconds between two looks at the serial output
MAX_PART = 1 << 20  # bytes that are read at once


class Progress:
    """What a guest has reported so far; `programs` is how many it is to load."""

    def __init__(self, programs: int = 0):
        self._programs, self._loaded = programs, 0
        self._release = self._running = ""
        self._tests, self._begun, self._outcomes = 0, 0, Counter[str]()

    def take(self, report: dict[str, Any]) -> str:
        """Takes a report in; returns what is told at once, which is a test that failed; else nothing."""
        kind, test = report.get("kind"), text_of(report, "test", 400)
        if kind == "guest":
            self._release = text_of(report, "release", 100)
        elif kind == "program":
            self._loaded += 1
        elif kind == "tests":
            self._tests = number_of(report, "count") or 0
        elif kind == "begin":
            self._begun, self._running = self._begun + 1, test
        elif kind == "test" and (outcome := text_of(report, "outcome", 10)) in OUTCOMES:
            self._outcomes[outcome] += 1
            return f"{outcome}: {test}" if outcome in BAD else ""
        return ""

    def text(self) -> str:
        """Returns how far the guest is, such as `test 12 of 250, 1 failed: tests/test_x.py::test_y`."""
        if self._begun:
            total = f" of {self._tests}" if self._tests else ""
            bad = "".join(f", {self._outcomes[each]} {each}" for each in BAD if self._outcomes[each])
            return f"test {self._begun}{total}{bad}: {self._running}"
        if self._tests:
            return f"{self._tests} tests were found"
        if self._loaded:
            return f"{self._loaded} of {self._programs} programs are loaded"
        return f"Linux {self._release} is up" if self._release else "it boots"


@contextlib.contextmanager
def followed(serial: Path, nonce: str, progress: Progress, name: str, report: Reporter) -> Iterator[None]:
    """Tells `report` how far the guest `name` is, until the block ends: by a thread that reads its serial output."""
    serial.unlink(missing_ok=True)  # an earlier guest's
    follower = _Follower(serial, nonce, progress, name, report)
    thread = threading.Thread(target=follower.run, name=f"follows {name}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        follower.ended.set()
        thread.join()
        report.stopped(name)


class _Follower:
    def __init__(self, serial: Path, nonce: str, progress: Progress, name: str, report: Reporter):
        self._serial, self._nonce, self._progress, self._name, self._report = serial, nonce, progress, name, report
        self._began, self._at, self._rest = time.monotonic(), 0, b""
        self.ended = threading.Event()

    def run(self) -> None:
        """Looks until the guest has ended, and tells how far it is."""
        while not self.ended.wait(POLL):
            self._look()
            self._report.status(self._name, f"{self._progress.text()}, {time.monotonic() - self._began:.0f} s")
        self._look()

    def _look(self) -> None:
        """Takes in what has been written since the last look; a line that isn't whole waits for its end."""
        with contextlib.suppress(OSError), self._serial.open("rb") as file:
            file.seek(self._at)
            while part := file.read(MAX_PART):
                self._at += len(part)
                whole, _, self._rest = (self._rest + part).rpartition(b"\n")
                for each in reports(whole, self._nonce):
                    if told := self._progress.take(each):
                        self._report.notice(f"{self._name}: {told}")
