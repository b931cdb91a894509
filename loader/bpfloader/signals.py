"""Holds back signals' handlers where something has to be done whole: what the kernel gave must get an owner.

Python runs handlers between any two of its instructions, and in callbacks of C: in the middle of libbpf's load, whose
messages come to one (libbpf/log.py), an exception of a handler's would be printed and lost. So handlers wait until the
end.
The kernel isn't kept waiting: system calls are interrupted as ever, but for load, which can't be made again.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

HELD = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGALRM, signal.SIGUSR1, signal.SIGUSR2)

# Those that come again and again, of timers, profilers and children; what ends a process isn't among them.
REPEATED = (
    signal.SIGALRM, signal.SIGVTALRM, signal.SIGPROF, signal.SIGCHLD, signal.SIGIO, signal.SIGUSR1, signal.SIGUSR2,
)  # fmt: skip

_active: list[
    DeferredSignals
] = []  # the one that holds signals now; only the main thread runs handlers, and so changes this


class DeferredSignals:
    """A `with` in which no signal's handler runs; one within another does nothing more.

    What came meanwhile is raised again at the end: a KeyboardInterrupt comes then. With a lock the lock is first,
    `with lock, DeferredSignals()`, or who waits for it couldn't be interrupted.
    """

    def __init__(self) -> None:
        self._handlers: dict[int, Any] = {}
        self._pending: list[int] = []

    def __enter__(self) -> None:
        if not _active and threading.current_thread() is threading.main_thread():
            try:
                _active.append(self)
                self._install()
            except BaseException:
                self._restore()
                raise

    def _install(self) -> None:
        for number in HELD:
            handler = signal.getsignal(number)
            if handler is not None and not isinstance(handler, int):  # None: it was set by C; SIG_DFL, SIG_IGN: C's too
                self._handlers[number] = handler  # first: an interrupt may come before the next line is done
                try:
                    signal.signal(number, self._record)
                except ValueError:  # in an interpreter that isn't the main one no handler runs
                    del self._handlers[number]

    def _record(self, number: int, _frame: object) -> None:
        self._pending.append(number)

    def __exit__(self, *_: object) -> None:
        if _active and _active[0] is self:
            self._restore()
            while self._pending:
                signal.raise_signal(self._pending.pop(0))

    def _restore(self) -> None:
        """Puts the handlers back, all of them even if one raises as soon as it is."""
        try:
            while self._handlers:
                number, handler = next(iter(self._handlers.items()))
                signal.signal(number, handler)
                self._handlers.pop(number)
            _active.clear()
        except BaseException:
            self._restore()
            raise


@contextmanager
def without_repeated_signals() -> Iterator[None]:
    """Keeps REPEATED from this thread until the end, for a call that the kernel gives up as a signal comes.

    The verifier does (EAGAIN), and libbpf loads a program 5 times, which a profiler's timer uses up. ^C still gets
    through. Within DeferredSignals, or a handler's exception could come before the mask is put back.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, REPEATED)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
