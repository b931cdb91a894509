"""Checks a step's inputs against the bytes that the build decided by, before and after the step.

An edit in between is an error.
"""

import os

from ebpfbuild.errors import EbpfError, MovedInputError
from ebpfbuild.shortage import is_shortage

from .nodes import Input, content_signature


class Watch:
    """The inputs of one step: the files among its target's dependencies, and `more` by their path.

    A value of `more` is the sha256 that the build knows; or None for an output of this tool's, whose bytes the ledger
    knows. Raises MovedInputError for a file that has changed since the build looked at it, and OSError.
    """

    def __init__(self, target, ledger, more, verb):
        self._ledger, self._verb = ledger, verb
        inputs = (node for node in target.all_children() if isinstance(node, Input))
        known = {node.rfile().get_abspath(): node for node in inputs} | more
        self._known = known
        self._before = {path: state(path) for path in known}
        for path, by in known.items():
            if not self._is_known(path, by):
                raise _unmade(path) if self._before[path] is None and _is_built(by) else self._moved(path)

    def check(self, details=()):
        """Raises MovedInputError if an input was touched since, though it may hold the same bytes again."""
        for path, before in self._before.items():
            now = state(path)
            if now != before and not (self._was_linked(path, before, now) and self._is_known(path, self._known[path])):
                raise self._moved(path, details)

    def _was_linked(self, path, before, now):
        """Returns True if a file may only have been hard-linked into a variant_dir by SCons, which sets its ctime."""
        by = self._known[path]
        return bool(before and now) and before[:-1] == now[:-1] and isinstance(by, Input) and _has_copies(by)

    def _is_known(self, path, by):
        try:
            if by is None:
                return self._ledger.intact(path)
            return (
                content_signature(path, by.fs) == by.get_csig()
                if isinstance(by, Input)
                else self._ledger.digest(path) == by
            )
        except OSError as error:
            if is_shortage(error):
                raise
            return False

    def _moved(self, path, details=()):
        what = f"changed while it was {self._verb}"
        return MovedInputError(what, where=os.path.relpath(path), fix="build again", details=details)


def _is_built(by):
    return isinstance(by, Input) and by.has_builder()


def _unmade(path):
    """Returns the refusal of an input that isn't there though its step has run, as a command may end well anyway."""
    what, fix = "its builder ran and didn't make it", "have the command write to $TARGET, which SCons quotes"
    return MovedInputError(what, where=os.path.relpath(path), fix=fix)


def _has_copies(node):
    """Returns True if SCons copies a file into a variant_dir with duplicate=1, or if it is such a copy."""
    folder = node.dir
    while folder:
        if (folder.srcdir and folder.duplicate) or any(each.duplicate for each in folder.variant_dirs):
            return True
        folder = folder.up()
    return False


def state(path):
    """Returns all of a file's stat that an edit changes, the ctime, which no tool sets back, last; None for no file."""
    try:
        found = os.stat(path)
    except OSError as error:
        if is_shortage(error):
            raise
        return None
    return found.st_size, found.st_mtime_ns, found.st_ino, found.st_dev, found.st_ctime_ns


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
