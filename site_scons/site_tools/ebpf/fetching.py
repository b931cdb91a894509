"""Gives the builders that fetch their FetchOptions, and the digests of pinned files in the project."""

import os
from pathlib import Path

from ebpfbuild.files import require_regular


def fetch_options(env):
    """Returns the core's FetchOptions, with the run's one network.

    A folder in MIRROR= is relative to the project's root.
    """
    from ebpfbuild.fetch.mirror import mirror_login
    from ebpfbuild.fetch.obtain import FetchOptions
    from ebpfbuild.fetch.store import cache_folder

    session, mirror = env["EBPF"], env["EBPF_MIRROR"]
    if mirror and "://" not in mirror:
        mirror = os.path.normpath(os.path.join(session.root, mirror))
    facts = {"offline": env["EBPF_OFFLINE"], "release": env["EBPF_RELEASE"], "network": session.run.network}
    login = None if facts["offline"] else mirror_login(mirror, os.environ, Path(session.root))
    return FetchOptions(cache_folder(os.environ), mirror or None, login=login, **facts)


def project_file_digests(env, sources):
    """Returns the digests, as of now, of those `sources` that are files of the project.

    So an edit runs the step, which refuses it, whatever the store and the build folder hold; the same bytes at another
    path don't. Where a file is gone, or is none that can be read, it depends on the release what the step does.
    """
    return [_digest(env, source.file) for source in sources if source.in_project]


def _digest(env, path):
    session = env["EBPF"]
    path = os.path.join(session.root, path)
    try:
        require_regular(path)
        return session.ledger.digest(path)
    except OSError:
        return "unreadable in a release" if env["EBPF_RELEASE"] else "unreadable"
