"""How the builders that fetch are told where from: the command line's options, and a reporter on this terminal."""

import os
import signal
import sys

from ebpfbuild.files import require_regular


def fetch_options(env):
    """The core's FetchOptions for this run, one for all steps: a host found to be down is not asked by each of them.

    MIRROR= is relative to the project's root.
    """
    from ebpfbuild.fetch.obtain import FetchOptions
    from ebpfbuild.fetch.network import Network
    from ebpfbuild.fetch.store import cache_folder

    session, mirror = env["EBPF"], env["EBPF_MIRROR"]
    if session.fetch_options is None:
        if mirror and "://" not in mirror:
            mirror = os.path.normpath(os.path.join(session.root, mirror))
        cache = cache_folder(os.environ)
        network = Network(stopped=interrupted)
        facts = {"offline": env["EBPF_OFFLINE"], "release": env["EBPF_RELEASE"], "network": network}
        session.fetch_options = FetchOptions(cache, mirror or None, **facts)
    return session.fetch_options


def interrupted():
    """Whether SCons was told to stop, by ^C for example: it waits for the steps that run and doesn't tell them.

    It knows in its jobs, which the handler that it sets has as an argument (SCons/Taskmaster/Job.py).
    """
    for value in getattr(signal.getsignal(signal.SIGINT), "__defaults__", None) or ():
        job = getattr(value, "job", None)
        if job is not None:
            return bool(job.interrupted())
    return False


def own_files(env, sources):
    """The digests, as of now, of those `sources` that are files of the project's own; a step that installs them is told.

    So an edit runs the step, which refuses it, whatever the store and the build folder hold; the same bytes at another
    path don't. Where a file is gone, or is none that can be read, it depends on the release what the step does.
    """
    return [_digest(env, source.file) for source in sources if source.own]


def _digest(env, path):
    session = env["EBPF"]
    path = os.path.join(session.root, path)
    try:
        require_regular(path)
        return session.ledger.digest(path)
    except OSError:
        return "unreadable in a release" if env["EBPF_RELEASE"] else "unreadable"


def reporter(env):
    """The one reporter of this run: two downloads at once must share the terminal's last line."""
    from ebpfbuild import console

    session = env["EBPF"]
    if session.reporter is None:
        session.reporter = console.reporter(sys.stderr, os.environ)
    return session.reporter
