"""Gives the builders that fetch their FetchOptions, and the digests of pinned files in the project."""

import os
from pathlib import Path

from ebpfbuild.files import MAX_FILE_SIZE, require_regular


def fetch_options(env, **changed):
    """Returns the core's FetchOptions, with the run's one network, but for those `changed`.

    A folder in MIRROR= is relative to the project's root. One that `vendor` made is the only place to look at; raises
    VendorError where it lacks a pin of this build.
    """
    from ebpfbuild.fetch.mirror import mirror_login
    from ebpfbuild.fetch.options import FetchOptions
    from ebpfbuild.fetch.store import cache_folder

    session = env["EBPF"]
    mirror = mirror_from(session.root, env["EBPF_MIRROR"])
    vendored = bool(mirror) and "://" not in mirror and _vendored(env, Path(mirror))
    facts = {"offline": env["EBPF_OFFLINE"] or vendored, "release": env["EBPF_RELEASE"], "network": session.run.network}
    login = None if facts["offline"] else mirror_login(mirror, os.environ, Path(session.root))
    return FetchOptions(cache_folder(os.environ), mirror or None, login=login, **(facts | changed))


def mirror_from(root, mirror):
    """Returns the URL or folder of MIRROR=, which is relative to the project's root; empty for none."""
    return os.path.normpath(os.path.join(root, mirror)) if mirror and "://" not in mirror else mirror


def _vendored(env, folder):
    """Returns True for a folder that `vendor` made. Raises VendorError where it lacks a pin of this build."""
    from ebpfbuild.vendor.manifest import is_vendor_folder, read_vendor_manifest, require_complete

    if not is_vendor_folder(folder):
        return False
    session = env["EBPF"]
    if folder not in session.vendored:
        from ebpfbuild.fetch.store import BLOBS, cache_folder
        from ebpfbuild.vendor.artifacts import lacking_pins

        toolchain = session.toolchain
        headers = [toolchain.header(arch.name) for arch in env["EBPF_ARCHES"] if arch.name in toolchain.vmlinux]
        pins = [*(pin for pin in headers if not pin.given), toolchain.libbpf, *_linker_pins(session)]
        pins += bundled_pins(session)
        store = cache_folder(os.environ) / BLOBS
        require_complete(folder, lacking_pins(pins, read_vendor_manifest(folder).files, folder, store))
        session.vendored.add(folder)
    return True


def bundled_pins(session):
    """Returns the pins of the sources of a libbpf that packages of this build carry, if any does."""
    return session.shared.get("bundle", [])


def _linker_pins(session):
    """Returns the pins of the linker, if this build links and there is one for this machine."""
    needed, _nodes = session.shared.get("linker", (None, []))
    return [*needed.libraries, *filter(None, [needed.c_library])] if hasattr(needed, "libraries") else []


def project_file_digests(env, sources):
    """Returns the digests, as of now, of those `sources` that are files of the project.

    So an edit runs the step, which refuses it, whatever the store and the build folder hold; the same bytes at another
    path don't. Where a file is gone, or is none that can be read, it depends on the release what the step does.
    """
    return [_digest(env, file, source.btf) for source in sources if source.in_project for file in source.files]


def _digest(env, path, kernel):
    """Returns the digest of a file as it is now; that of a `kernel` may be of any size."""
    session = env["EBPF"]
    path = os.path.join(session.root, path)
    try:
        require_regular(path, None if kernel else MAX_FILE_SIZE)
        return session.ledger.digest(path)
    except OSError:
        return "unreadable in a release" if env["EBPF_RELEASE"] else "unreadable"
