"""Runs functions in threads of their own, so that whoever waits for one can stop waiting at any moment."""

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple, TypeVar

Given = TypeVar("Given")


class TooLateError(Exception):
    """A function that wasn't done in time. It may still run."""


class _Answer(NamedTuple):
    """What a function returned, or the error that it raised."""

    value: Any
    error: Exception | None


class _Worker:
    """A thread that runs one function after the other; None ends it. It ends with the process at the latest."""

    def __init__(self) -> None:
        self.work: SimpleQueue[Callable[[], Any] | None] = SimpleQueue()
        self.answers: SimpleQueue[_Answer] = SimpleQueue()
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while work := self.work.get():
            try:
                self.answers.put(_Answer(work(), None))
            except Exception as error:  # noqa: BLE001  # it is raised again where it is waited for
                self.answers.put(_Answer(None, error))


class Workers:
    """Threads that stay for the next function: to start one takes as long as to read a cache's file."""

    def __init__(self) -> None:
        self._idle: SimpleQueue[_Worker] = SimpleQueue()

    def run(self, work: Callable[[], Given], seconds: float) -> Given:
        """Returns what a function returns, and raises what it raises; TooLateError where that takes too long."""
        try:
            worker = self._idle.get_nowait()
        except Empty:
            worker = _Worker()
        worker.work.put(work)
        try:
            answer = worker.answers.get(timeout=seconds)
        except Empty:
            worker.work.put(None)  # it ends, if that function ever does
            raise TooLateError(f"it didn't answer within {seconds:.3g} s") from None
        self._idle.put(worker)
        if answer.error:
            raise answer.error
        value: Given = answer.value
        return value
