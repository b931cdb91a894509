"""How the builders that fetch are told where from: the command line's options, and a reporter on this terminal."""

import os
import sys


def fetch_options(env):
    """The core's FetchOptions for this run, one for all steps: a host found to be down is not asked by each of them.

    MIRROR= is relative to the project's root.
    """
    from ebpfbuild.artifacts import FetchOptions
    from ebpfbuild.store import cache_folder

    session, mirror = env["EBPF"], env["EBPF_MIRROR"]
    if session.fetch_options is None:
        if mirror and "://" not in mirror:
            mirror = os.path.normpath(os.path.join(session.root, mirror))
        cache = cache_folder(os.environ)
        session.fetch_options = FetchOptions(cache, mirror or None, offline=env["EBPF_OFFLINE"], release=env["EBPF_RELEASE"])
    return session.fetch_options


def reporter(env):
    """The one reporter of this run: two downloads at once must share the terminal's last line."""
    from ebpfbuild import console

    session = env["EBPF"]
    if session.reporter is None:
        session.reporter = console.reporter(sys.stderr, os.environ)
    return session.reporter
