"""Locks a project's folder for one build: two would write .sconsign, the ledger and the outputs over each other."""

import contextlib
import fcntl
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from ..errors import LockError
from ..locks import lock_holder


class TreeLock:
    """Holds a project's folder for one build until this process ends; `waited` says that another build had it before.

    The folder itself is locked, with flock(2): no file of a dead build is ever in the way. A file system without locks,
    or a folder that can't be opened, goes without. The folder stays open: only the end of the process, or execve,
    closes it.
    """

    def __init__(self, root: str, waiting: Callable[[str], None]):
        """Waits for another build, and calls `waiting(text)` before.

        Raises LockError for one that started this build.
        """
        self.waited = False
        with contextlib.suppress(OSError):
            handle = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                _wait(handle, root, waiting)
                self.waited = True


def _wait(handle: int, root: str, waiting: Callable[[str], None]) -> None:
    holder = lock_holder(handle)
    process = f" (process {holder})" if holder else ""
    if holder is not None and holder in _ancestors():
        raise LockError(
            f"this build was started by a step of another one in the same folder{process}, "
            "and would wait for it for ever",
            where=root,
            fix="declare what it builds in the one SConstruct, or run it in a folder of its own",
        )
    waiting(f"waiting for another build in {root}{process}")
    fcntl.flock(handle, fcntl.LOCK_EX)


def _ancestors() -> Iterator[int]:
    """Yields the processes that started this one, from its parent upwards. Source: proc_pid_status(5)."""
    process = os.getppid()
    while process > 1:
        yield process
        try:
            status = Path(f"/proc/{process}/status").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return
        parent = re.search(r"^PPid:\s*(\d+)$", status, re.MULTILINE)
        process = int(parent[1]) if parent else 0
