"""What becomes of objects in a child of fork: it has no links, and so can't end or prolong those of its parent."""

from __future__ import annotations

import os
import threading
import weakref
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .object.bpf_object import Object

_living: weakref.WeakSet[Object] = weakref.WeakSet()


def follow(opened: Object) -> None:
    """Has an object's links let go of in children of fork."""
    _living.add(opened)


def _in_child() -> None:
    """Gives each object a lock of its own (a thread that isn't here may hold the old one) and no links.

    A child's copies of the descriptors would keep the programs attached when the parent detaches them, and ending a
    link in the child as libbpf does would disable perf events and remove tc filters of the parent.
    """
    for opened in list(_living):
        opened.lock = threading.RLock()
        for link in opened.links:
            link._abandon()
        opened.links._clear()


os.register_at_fork(after_in_child=_in_child)
