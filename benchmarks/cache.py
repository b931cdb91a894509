"""Measures what a hit of CACHE= costs: fresh checkouts of two sizes that take all their objects from a warm cache.

    .venv/bin/python benchmarks/cache.py [runs]

The cache is a folder, and a server of Bazel's protocol on loopback, as the tests have it. Generated programs, as those
of many.py, 10 and 40 of them for three arches, -j1. Prints the least CPU seconds of some runs, and from the difference of
the two sizes the milliseconds that one more object takes; a null build's are SCons's own share. No checkout is removed
before the end: for some seconds ext4 looks at each file that was just removed when it makes one, and that is none of a
hit's costs. Needs the headers in the store or MIRROR=, and the packages of requirements-test.lock.
"""

import os
import shutil
import sys
import tempfile
from collections import defaultdict
from contextlib import ExitStack
from itertools import count
from pathlib import Path

from build import ROOT, run, scons
from many import ARCHES, spent, write

sys.path[:0] = [str(ROOT / "tests" / "core"), str(ROOT / "site_scons")]
from bazel_server import bazel_server

PROGRAMS = 10, 40
GOAL = 6  # ms an object


def main(runs=7):
    """Prints the table."""
    os.environ["no_proxy"] = "127.0.0.1"
    seconds = defaultdict(list)
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as servers:
        projects = [
            Project(Path(scratch, str(programs)), programs, servers.enter_context(bazel_server()))
            for programs in PROGRAMS
        ]
        for _ in range(runs):  # in turns, since the machine may do other work
            for project in projects:
                project.measure(seconds)
    few, many = (project.objects for project in projects)
    print(f"CPU seconds, least of {runs} runs     {few:4} objects {many:4} objects   ms an object more")
    for what in ("null build", "from a folder", "from a server"):
        least = [min(seconds[what, project.objects]) for project in projects]
        goal = "" if what == "null build" else f"  (at most {GOAL})"
        slope = 1000 * (least[1] - least[0]) / (many - few)
        print(f"  {what:30} {least[0]:12.2f} {least[1]:12.2f} {slope:18.1f}{goal}")


class Project:
    """A project of some generated programs, and its two caches, filled."""

    def __init__(self, folder, programs, server):
        self.objects, self._server = programs * len(ARCHES.split(",")), server
        self._fresh, self._checkouts = folder / "fresh", (folder / f"checkout{number}" for number in count())
        self._fresh.mkdir(parents=True)
        write(self._fresh, programs)
        self._command = [*scons(), f"ARCH={ARCHES}", "-j1", "SANDBOX=off"]
        run([*self._command, "headers"], self._fresh)
        self._caches = {"from a folder": f"CACHE={folder / 'cache'}", "from a server": f"CACHE={server.url}"}
        for cache in self._caches.values():
            run([*self._command, cache], self._checked_out())

    def measure(self, seconds):
        """Has a fresh checkout take from each cache, and build again; adds what that took by what it is."""
        self._server.seen.clear()
        for what, cache in self._caches.items():
            checkout = self._checked_out()
            seconds[what, self.objects].append(spent([*self._command, cache], checkout).cpu)
            seconds["null build", self.objects].append(spent([*self._command, cache], checkout).cpu)
        if self._server.seen != [("GET", "ac")] * self.objects:
            sys.exit("the server was asked for other things than each result once")

    def _checked_out(self):
        return shutil.copytree(self._fresh, next(self._checkouts))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
