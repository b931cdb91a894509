"""Follows objects and buffers into children of fork: each puts itself in order there.

A child has no links, and so can't end or prolong those of its parent.
"""

from __future__ import annotations

import os
import weakref
from contextlib import ExitStack
from typing import Protocol


class ForkAware(Protocol):
    """What has something to put in order in a new child process."""

    def _after_fork(self) -> None: ...


_living: weakref.WeakSet[ForkAware] = weakref.WeakSet()


def call_after_fork(thing: ForkAware) -> None:
    """Has `_after_fork` of a thing called in children of fork, as long as the thing lives."""
    _living.add(thing)


def _in_child() -> None:
    """Calls `_after_fork` of all of them, even if that of one raises."""
    with ExitStack() as stack:
        for thing in list(_living):
            stack.callback(thing._after_fork)


os.register_at_fork(after_in_child=_in_child)
