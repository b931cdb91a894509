"""Has SCons build with as many threads as it gets: where one can't be started, it would wait for it for ever."""

import os
import sys
import threading
from errno import EAGAIN

from SCons.Taskmaster import Job

from ebpfbuild.shortage import shortage_fix

NO_THREAD = "can't start new thread"  # CPython's RuntimeError where pthread_create(3) fails
_start_worker = Job.NewParallel._start_worker


def guard():
    """Puts the guard around SCons's start of a thread."""
    if Job.NewParallel._start_worker is _start_worker:
        Job.NewParallel._start_worker = _start_if_possible


def _start_if_possible(jobs):
    """Starts a thread; where the machine has no more, the steps are for those that are there, or for the main thread.

    A worker asks for another one, with SCons's lock held, perhaps before SCons has noted it among its workers.
    """
    try:
        _start_worker(jobs)
    except RuntimeError:
        jobs.max_workers = max(1, len(jobs.workers))  # it tries no more
        _notice(jobs.max_workers)
        if not isinstance(threading.current_thread(), Job.NewParallel.Worker):
            jobs._work()


def no_thread():
    """Returns the error of pthread_create(3) that a thread couldn't be started for."""
    return OSError(EAGAIN, os.strerror(EAGAIN))


def _notice(count):
    from ebpfbuild import console

    why = no_thread()
    what = f"steps run {count} at a time, as no more threads can be started: {why.strerror}; {shortage_fix(why)}"
    console.console_for(sys.stderr, os.environ).notice(what)
