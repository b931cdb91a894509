"""Helpers for tests of the probe."""

import os
import subprocess
import sys
import textwrap
import threading
from contextlib import contextmanager
from pathlib import Path

import bpfloader

LOADER = Path(bpfloader.__file__).resolve().parents[1]


def ends(count, *arguments, at: int = 0) -> bool:
    """Says whether a count comes down: who reads another's /proc/PID/fdinfo keeps a closed link for a moment."""
    return any(count(*arguments) == at for _ in range(20))


def hits_of(probe) -> int:
    """Returns how many system calls of this process the program counts while ten are made."""
    before = probe.bss.hits
    for _ in range(10):
        os.getppid()
    return probe.bss.hits - before


def run_python(folder: Path, code: str, *wrapper: str) -> subprocess.CompletedProcess:
    setup = f"import sys; sys.path[:0] = [{str(folder)!r}, {str(LOADER)!r}]\n"
    command = [*wrapper, sys.executable, "-S", "-c", setup + textwrap.dedent(code)]
    return subprocess.run(command, capture_output=True, text=True)


@contextmanager
def beside(*actions, after: float = 0.0):
    """Threads that do the actions, `after` some seconds; they end with the `with`, and so before their test's object.

    Gives a function that says whether one still runs. Raises what one of them raised.
    """
    raised, threads = [], []

    def run(action):
        try:
            action()
        except BaseException as error:
            raised.append(error)

    threads = [threading.Timer(after, run, (action,)) for action in actions]
    for thread in threads:
        thread.start()
    try:
        yield lambda: any(thread.is_alive() for thread in threads)
    finally:
        for thread in threads:
            thread.join()
    if raised:
        raise raised[0]
