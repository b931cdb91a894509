"""Holds the state of one run of scons, which all environments share.

SCons makes one object a run that every environment and node refers to, its file system (`env.fs`, `node.fs`). The state
hangs on that, so that no module has any.
"""

import atexit
import gc
import itertools
import os
import signal
import sys
import threading
from collections import defaultdict
from functools import cached_property

from ebpfbuild.files import walk

from .errors import StopError

_NEW_OBJECTS = 100_000  # between two looks for cycles: some 20 MB
PYTHON = (".py", ".pyi", ".typed")  # the endings of what a package holds of an app


class _Runner:
    """Runs actions in the run's sandbox, which it makes with the first of them."""

    def __init__(self, run):
        self._run = run

    def run(self, action):
        """Returns what the sandbox returns."""
        return None if self._run.sandbox_mode == "off" else self._run.sandbox.run(action)


class Run:
    """One run of scons: its sessions by build folder, and what they share.

    ledger    of the first session that declares a target: a file that two of them read is hashed once
    locks     a TreeLock by folder, each held until this process ends; none in a run that builds nothing
    commands  the Compilations of all objects, by the folder of the compile_commands.json that lists them
    scans     numbers that make each scan's path another one, see minimized.py
    recorded  False where SCons could not write what it remembers
    made      the first target of each step that has run, and its environment, for the summary
    begun     the targets of each step that began, its ledger, and how much that had noted before
    objects, minimized, programs   what the commands `prove`, `why` and `pins` are about, see command_targets.py
    for_kernels, for_verify  the same of the commands `kernels` and `verify`
    wheels    those that `boot` takes into its guests
    named     the short names of the command line that are outputs
    project_tests      what EbpfTest says of guests, by name, for `boot test`
    project_commands   the names of EbpfRun's and EbpfTest's
    refusals  what a release refuses, in lines, while SConscripts are read; else None, and each is an error of its own
    epoch     SOURCE_DATE_EPOCH for a release; None before it is asked for
    proving   how many objects `prove` has begun with
    vmlinux   the HeaderPin that VMLINUX= of the command line stands for, or None
    signing   held while SIGN='s command runs: it has the terminal
    step_caches  each StepCache that was opened, by its NamedCache; `opening_cache` is held while one is opened
    """

    def __init__(self):
        _spare_collector()
        self.sessions = {}
        self.ledger, self.locks, self.vmlinux = None, {}, None
        self.commands, self.made, self.begun, self.recorded = defaultdict(list), [], [], True
        self.scans = itertools.count()
        self.objects, self.minimized, self.programs, self.for_kernels = [], [], [], []
        self.for_verify, self.wheels = [], []
        self.project_tests = {}
        self.proving, self.named, self.project_commands = 0, set(), set()
        self.signing = threading.Lock()
        self.step_caches, self.opening_cache = {}, threading.Lock()
        self.refusals = self.epoch = None
        self.sandbox_mode, self._sandbox = "auto", None
        self._sandbox_lock = threading.Lock()
        self.runner = _Runner(self)
        self._noticed = set()
        self._listings = {}

    @cached_property
    def reporter(self):
        """The one Console of this run: two downloads at once must share the terminal's last line."""
        from ebpfbuild.console import console_for

        return console_for(sys.stderr, os.environ)

    @cached_property
    def network(self):
        """The one Network of this run: a host found to be down isn't asked by each step anew."""
        from ebpfbuild.fetch.network import Network

        return Network(stopped=interrupted)

    @property
    def homes(self):
        """The homes of the sessions that declare anything, in their order; of all where none does."""
        sessions = self.sessions.values()
        return [each.home for each in sessions if each.declares] or [each.home for each in sessions]

    def notice_once(self, text):
        """Prints a notice unless this run has printed it before."""
        if text not in self._noticed:
            self._noticed.add(text)
            self.reporter.notice(text)

    def python_files(self, folder):
        """Lists the Python files of a folder that ship in a package: paths on disk by paths below the folder, sorted.

        The folder is walked once a run.
        """
        if folder not in self._listings:
            found = {}
            for parent, _, names in walk(folder):
                kept = (os.path.join(parent, name) for name in names if name.endswith(PYTHON))
                found |= {os.path.relpath(file, folder): file for file in kept}
            self._listings[folder] = dict(sorted(found.items()))
        return self._listings[folder]

    @property
    def sandbox(self):
        """The sandbox of this run. A null build doesn't import it."""
        with self._sandbox_lock:
            if self._sandbox is None:
                from ebpfbuild.sandbox.sandbox import Sandbox

                self._sandbox = Sandbox(self.sandbox_mode)
            return self._sandbox

    def sandbox_used(self):
        """Returns in words if this run's actions were sandboxed; empty where none ran that could be."""
        if self.sandbox_mode == "off":
            return "not sandboxed (SANDBOX=off)"
        if self._sandbox is None or self._sandbox.refusal is None:
            return ""
        if self._sandbox.refusal:
            return f"not sandboxed ({self._sandbox.refusal})"
        scripts = ", ".join(sorted(self._sandbox.scripts))
        return f"sandboxed but for {scripts}" if scripts else "sandboxed"

    def cache_used(self):
        """Returns in words how many steps a cache gave, and what is wrong with it; empty where none was asked."""
        caches = self.step_caches.values()
        taken, rejected = sum(each.hits for each in caches), sum(each.rejected for each in caches)
        if not taken + (missed := sum(each.misses for each in caches)):
            return ""
        wrong = [f"had {rejected} that can't be used"] if rejected else []
        wrong += sorted({each.trouble for each in caches if each.trouble})
        which = f", which {' and '.join(wrong)}" if wrong else ""
        return f"{taken} of {taken + missed} from the cache{which}"

    def listed_files(self):
        """Yields the paths of all that python_files has listed."""
        for listing in self._listings.values():
            yield from listing.values()


def _spare_collector():
    """Has Python look for unreachable cycles less often, and for none at the end.

    Nearly all that a run makes are nodes of SCons's graph, which are reachable until the process ends: to walk over
    them, and to take them apart one by one at the end, is a tenth of a null build.
    """
    before, *others = gc.get_threshold()
    if 0 < before < _NEW_OBJECTS:
        gc.set_threshold(_NEW_OBJECTS, *others)
    atexit.register(gc.freeze)


def run_of(fs):
    """Returns the Run that hangs on SCons's file system object, made when it is first asked for."""
    try:
        return fs.ebpf_run
    except AttributeError:
        fs.ebpf_run = Run()
        return fs.ebpf_run


def interrupted():
    """Returns True if SCons was told to stop, by ^C for example: it waits for running steps and doesn't tell them.

    SCons knows it in its jobs, which the signal handler that it sets has as an argument (SCons/Taskmaster/Job.py).
    """
    for value in getattr(signal.getsignal(signal.SIGINT), "__defaults__", None) or ():
        job = getattr(value, "job", None)
        if job is not None:
            return bool(job.interrupted())
    return False


def refuse(run, line):
    """Notes what a release refuses, for the one list; raises StopError where the SConscripts are read already."""
    if run.refusals is None:
        raise StopError(line)
    run.refusals.append(line)
