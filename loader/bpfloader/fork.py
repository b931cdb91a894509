"""Calls objects and buffers in a child of fork, where each repairs itself.

A child has no links, so it can neither end those of its parent nor keep them alive.
"""

from __future__ import annotations

import os
import weakref
from contextlib import ExitStack
from typing import Protocol


class ForkAware(Protocol):
    """An object that must repair itself in a new child process."""

    def _after_fork(self) -> None: ...


_living: weakref.WeakSet[ForkAware] = weakref.WeakSet()


def call_after_fork(target: ForkAware) -> None:
    """Calls `_after_fork` of the target in each child of fork, as long as the target lives."""
    _living.add(target)


def _in_child() -> None:
    """Calls `_after_fork` of all living targets, even if one of them raises."""
    with ExitStack() as stack:
        for target in list(_living):
            stack.callback(target._after_fork)


os.register_at_fork(after_in_child=_in_child)
