"""Checks a step's inputs against the bytes that the build decided by, before and after the step.

An edit in between is an error.
"""

import os

from ebpfbuild.errors import EbpfError, MovedInputError

from .nodes import Input, content_signature


class Watch:
    """The inputs of one step: the files among its target's dependencies, and `more` by their path.

    A value of `more` is the sha256 that the build knows; or None for an output of this tool's, whose bytes the ledger
    knows. Raises MovedInputError for a file that has changed since the build looked at it.
    """

    def __init__(self, target, ledger, more, verb):
        self._ledger, self._verb = ledger, verb
        inputs = (node for node in target.all_children() if isinstance(node, Input))
        known = {node.rfile().get_abspath(): node for node in inputs} | more
        self._before = {path: _state(path) for path in known}
        for path, by in known.items():
            if not self._is_known(path, by):
                raise self._moved(path)

    def check(self, details=()):
        """Raises MovedInputError if an input was touched since, though it may hold the same bytes again."""
        for path, before in self._before.items():
            if _state(path) != before:
                raise self._moved(path, details)

    def _is_known(self, path, by):
        try:
            if by is None:
                return self._ledger.intact(path)
            return content_signature(path, by.fs) == by.get_csig() if isinstance(by, Input) else self._ledger.digest(path) == by
        except OSError:
            return False

    def _moved(self, path, details=()):
        what = f"changed while it was {self._verb}"
        return MovedInputError(what, where=os.path.relpath(path), fix="build again", details=details)


def _state(path):
    """Returns all of a file's stat that an edit changes; None for no file.

    Its ctime is among it: no tool sets that back.
    """
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_dev


def watched(watch, run):
    """Runs a step between two checks.

    An error while an input changed is raised as a MovedInputError, with its text below.
    """
    try:
        run()
    except EbpfError as error:
        watch.check(details=tuple(str(error).splitlines()))
        raise
    watch.check()
