"""Defers signal handlers where a step must be done whole, such as giving a new descriptor to its owner.

Python runs handlers between any two of its instructions, and within callbacks from C: in the callback that receives
libbpf's messages during load (libbpf/log.py), a handler's exception would be printed and lost. So handlers wait until
the end. System calls are interrupted as ever, but for load, which can't be repeated.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import starmap
from typing import Any, TypeVar

T = TypeVar("T")

DEFERRED = (
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGALRM,
    signal.SIGUSR1,
    signal.SIGUSR2,
)

# Signals that arrive again and again, from timers, profilers and children; none of those that end a process.
REPEATED = (
    signal.SIGALRM, signal.SIGVTALRM, signal.SIGPROF, signal.SIGCHLD, signal.SIGIO, signal.SIGUSR1, signal.SIGUSR2,
)  # fmt: skip

# The module in C below `signal`, which makes an enum of each handler, or fails to: that takes ten times as long.
_signal: Any = getattr(signal, "_signal", signal)

# The one that defers signals now; only the main thread runs handlers, so only it changes this.
_active: list[DeferredSignals] = []


class DeferredSignals:
    """A context manager that defers signal handlers to its end; nested ones have no effect.

    Signals that arrive meanwhile are raised again at the end, so a KeyboardInterrupt comes then. Take a lock first,
    `with lock, DeferredSignals()`: otherwise a thread that waits for the lock couldn't be interrupted.
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
        for number in DEFERRED:
            handler = _signal.getsignal(number)
            if handler is not None and not isinstance(handler, int):  # None, SIG_DFL, SIG_IGN: no handler in Python
                self._handlers[number] = handler  # first, as an interrupt may come before the next line is done
                try:
                    _signal.signal(number, self._record)
                except ValueError:  # handlers run in the main interpreter only
                    del self._handlers[number]

    def _record(self, number: int, _frame: object) -> None:
        self._pending.append(number)

    def __exit__(self, *_: object) -> None:
        if _active and _active[0] is self:
            self._restore()
            while self._pending:
                signal.raise_signal(self._pending.pop(0))

    def _restore(self) -> None:
        """Restores all handlers, even if one of them runs at once and raises."""
        try:
            while self._handlers:
                number, handler = next(iter(self._handlers.items()))
                _signal.signal(number, handler)
                self._handlers.pop(number)
            _active.clear()
        except BaseException:
            self._restore()
            raise


def take_one(pop: Callable[..., T], *arguments: Any) -> Iterator[T]:
    """Returns an iterator that calls `pop` once: `for value in take_one(queue.popleft)` loses nothing to an interrupt.

    CPython may raise an interrupt after each call in Python code, so `value = pop()` could lose the removed value. A
    loop calls its iterator from C and assigns the value without such a point in between.
    """
    return starmap(pop, (arguments,))


@contextmanager
def without_repeated_signals() -> Iterator[None]:
    """Blocks REPEATED in this thread, for a call that the kernel aborts when a signal arrives.

    The verifier aborts with EAGAIN, and libbpf tries a load 5 times, which a profiler's timer uses up. ^C still gets
    through. Use it within DeferredSignals: otherwise a handler's exception could come before the mask is restored.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, REPEATED)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
