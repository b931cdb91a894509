"""UapiHeaders(): the kernel's UAPI headers for every arch and clang's own, pinned by one digest over them all."""

import hashlib
import os
import shutil
import time
from pathlib import Path

from ebpfbuild.errors import EbpfError
from ebpfbuild.uapi.install import MANIFEST, intact, read_manifest

from .nodes import Output
from .step import build_path, builder, step_args


class _Tree(Output):
    """The manifest of a folder, which stands for the folder: with it, `-c` and a new build remove all the files."""

    __slots__ = ()

    def remove(self):
        """Removes the folder; returns True if there was one."""
        folder = os.path.dirname(self.get_abspath())
        there = os.path.isdir(folder)
        if there:
            shutil.rmtree(folder)
        return there


def uapi_headers(env):
    """Returns the node of build/uapi/headers.sha256, the manifest that stands for all headers below build/uapi/."""
    session = env["EBPF"]
    if "uapi" not in session.shared:
        folder, pin = build_path(env, "uapi"), session.uapi
        node = session.shared["uapi"] = env.File(f"{folder}/{MANIFEST}")
        place = os.path.dirname(node.abspath)
        files = read_manifest(Path(place))
        good = session.ledger.intact(node.abspath) and intact(Path(place), files, session.ledger.fact, time.time_ns())
        session.repair([node], stale=not good)
        _remember(session, node, files)
        inputs = {"pin uapi sha256": pin.signature, "pinned folder of the project": _own(env, pin)}
        UAPI(env, target=node, source=session.inputs.node(env, "uapi/install.py", **inputs), **step_args(pin=pin))
    return session.shared["uapi"]


def _remember(session, node, files):
    """Notes the digests of the installed headers, by their path from the root."""
    folder = os.path.dirname(node.path)
    session.includes.uapi_files = {f"{folder}/{place}": digest for place, digest in files.items()}


def _own(env, pin):
    """Returns the digest of a folder of the project's own, as of now, in a list; none where the pin has no folder.

    So an edit in it runs the step, which refuses it.
    """
    if not pin.path:
        return []
    from ebpfbuild.uapi.tree import own_files

    session = env["EBPF"]
    path = session.files.path(env.Dir(f"#{pin.path}"), pin.where)
    session.files.check_symlinks(path, env["EBPF_RELEASE"])
    try:
        files = own_files(pin, Path(session.root, path))
        lines = [f"{session.ledger.digest(str(file))}  {name}" for name, file in sorted(files.items())]
    except (EbpfError, OSError):
        return ["unreadable"]  # the step says why, where a program needs these headers
    return [hashlib.sha256("\n".join(lines).encode()).hexdigest()]


def _install(target, source, env):
    from ebpfbuild.uapi.install import install_uapi

    session, folder = env["EBPF"], Path(target[0].abspath).parent
    install_uapi(env["EBPF_STEP_ARGS"].pin, Path(session.root), folder)
    _remember(session, target[0], read_manifest(folder))


UAPI = builder(_install, "UAPI     $TARGET", kind=_Tree)
METHODS = {"UapiHeaders": uapi_headers}
