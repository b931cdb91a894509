"""How the builders that fetch are told where from: the command line's options, and a reporter on this terminal."""

import os
import sys


def fetch_options(env):
    """The core's FetchOptions for an environment. MIRROR= is relative to the project's root."""
    from ebpfbuild.artifacts import FetchOptions
    from ebpfbuild.store import cache_folder

    mirror = env["EBPF_MIRROR"]
    if mirror and "://" not in mirror:
        mirror = os.path.join(env["EBPF"].root, mirror)
    return FetchOptions(
        cache=cache_folder(os.environ), mirror=mirror or None, offline=env["EBPF_OFFLINE"], release=env["EBPF_RELEASE"]
    )


def reporter(env):
    """The one reporter of this run: two downloads at once must share the terminal's last line."""
    from ebpfbuild import console

    session = env["EBPF"]
    if session.reporter is None:
        session.reporter = console.reporter(sys.stderr, os.environ)
    return session.reporter
