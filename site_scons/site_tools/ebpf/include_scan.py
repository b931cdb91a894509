"""Scans sources for the project's headers that they include, once a run, however many arches ask."""

import os
from errno import EISDIR

import SCons.Node
import SCons.Node.FS
from ebpfbuild.compile import directives
from ebpfbuild.compile.includes import project_headers
from ebpfbuild.files import UnfitFileError, read_regular
from SCons.Errors import UserError

from .errors import check_name, unfit_input, user_error

_MADE = SCons.Node.executed, SCons.Node.up_to_date


class IncludeScan:
    """The headers of a session's sources, and the texts that they were found in."""

    def __init__(self, session):
        self._session = session
        self._headers = {}  # by source, include folders and declared dependencies
        self._texts = {}  # by path

    def headers(self, source, include_dirs, depends, env):
        """Returns the paths, from the root, of the project's files that a source includes. Raises StopError."""
        key = source, tuple(include_dirs), tuple(depends)
        if key in self._headers:
            return self._headers[key]
        session = self._session
        pinned = {"vmlinux.h", *(f"bpf/{name}" for name in session.toolchain.libbpf.files)}
        libbpf = env.LibbpfHeaders()
        system = os.path.join(os.path.dirname(libbpf.path), "include")
        generated = [] if libbpf.get_state() in _MADE else [libbpf]  # those in place may be an older pin's

        def read(path):
            if path.startswith(f"{system}{os.sep}"):
                return self._pinned_text(path, pinned)
            if not is_built(path):
                return self._text(path)
            generated.append(path)  # it has still to be made, or made anew
            return self._read(path) or ""

        normalized = session.files.tree.normalized
        headers = user_error(project_headers, source, include_dirs, read, pinned.__contains__, normalized, depends, system)
        for header in headers:
            check_name(header, source)
            session.files.check_symlinks(header, env["EBPF_RELEASE"])
        if not generated:
            self._headers[key] = headers
        return headers

    def _pinned_text(self, path, pinned):
        """Returns the directives of one of libbpf's headers, remembered by its content.

        None where it hasn't been fetched.
        """
        if "/".join(path.split(os.sep)[-2:]) not in pinned:
            return None
        session = self._session
        try:
            digest = session.ledger.digest(os.path.join(session.root, path))
        except OSError:
            return None
        key = f"directives of {digest} by {session.digest(directives.__file__)}"
        return session.ledger.fact(key, lambda: {"text": directives.directives_only(self._read(path) or "")})["text"]

    def _text(self, path):
        """Returns a project file's text; None where there is no file."""
        if path not in self._texts:
            self._texts[path] = self._read(path)
        return self._texts[path]

    def _read(self, path):
        try:
            # A name in an #include is bytes, and so is one of the file system.
            text = read_regular(os.path.join(self._session.root, path)).decode("utf-8", "surrogateescape")
            return text.replace("\r\n", "\n").replace("\r", "\n")
        except OSError as error:
            if isinstance(error, UnfitFileError) and error.errno != EISDIR:
                raise unfit_input(error, path) from None  # clang would wait for a pipe for ever
            return None


def is_built(path):
    """Tells if a path below the root is one that this build makes."""
    try:
        return SCons.Node.FS.get_default_fs().Entry(f"#{path}", create=False).has_builder()
    except UserError:  # no node has that path
        return False
