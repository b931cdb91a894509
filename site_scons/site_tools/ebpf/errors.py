"""Turns the core's errors and the file system's into SCons's own kind, which ends the build with one line."""

import os
from errno import EACCES, EEXIST, ELOOP, ENOTDIR, EPERM, EROFS

import SCons.Errors
import SCons.Node.FS

from ebpfbuild.errors import EbpfError
from ebpfbuild.escape import printable
from ebpfbuild.files import UnfitFileError, symlink_loop
from ebpfbuild.shortage import shortage_fix

_TAKE_BACK = 'if a build as root made it, take it back: sudo chown -R "$USER" .'
_FIXES = {
    EACCES: _TAKE_BACK,
    EPERM: _TAKE_BACK,
    EROFS: "name a build folder that can be written: EBPF_BUILD",
}


class StopError(SCons.Errors.StopError):
    """Stops SCons with one line that a terminal may get: names of files and arguments come from anywhere."""

    def __init__(self, text):
        super().__init__(printable(text))


def user_error(call, *args, **kwargs):
    """Returns `call(*args)`; raises StopError for the core's errors and the file system's."""
    try:
        return call(*args, **kwargs)
    except EbpfError as error:
        raise SCons.Errors.StopError(str(error)) from None  # it may have details, each in a line of its own
    except OSError as error:
        raise file_error(error) from None


def file_error(error, output=""):
    """Makes the StopError for what the file system refused, with the path from the project's root.

    `output` is what was being made: a write to a file that is open names none.
    """
    root = SCons.Node.FS.get_default_fs().Top.get_abspath()
    path = str(error.filename or output).removeprefix(f"{root}{os.sep}")
    if error.errno == EEXIST and os.path.islink(error.filename) and _loops(error.filename) or error.errno == ELOOP:
        error = symlink_loop(error.filename)
    if isinstance(error, UnfitFileError):
        return unfit_input(error, path)
    if error.errno in (EEXIST, ENOTDIR):
        return StopError(f"{_no_folder(root, path)}: lies where the build makes a folder; move it away")
    fix = shortage_fix(error) or _FIXES.get(error.errno)
    return StopError(f"{f'{path}: ' if path else ''}{error.strerror}{f'; {fix}' if fix else ''}")


def _no_folder(root, path):
    """Returns the first part of a path from the root that is there and is no folder."""
    parts = path.split(os.sep)
    ways = [os.sep.join(parts[: count + 1]) or os.sep for count in range(len(parts))]
    return next((way for way in ways if _is_no_folder(os.path.join(root, way))), path)


def _is_no_folder(path):
    return os.path.lexists(path) and not os.path.isdir(path)


def _loops(link):
    try:
        os.stat(link)
    except OSError as error:
        return error.errno == ELOOP
    return False


def unfit_input(error, path):
    """Makes the StopError for an input that is a pipe, a folder, a device, or a symlink in a circle."""
    fix = "point the link at what is meant" if error.errno == ELOOP else "put a file in its place"
    return StopError(f"{path}: {error.strerror}; {fix}")


def check_mapped(folder, what):
    """Refuses a folder outside of the project whose name clang can't be told to leave out of objects: NAME=OTHER."""
    if "=" in folder:
        raise StopError(f"{what}: {folder} has a = in its name, at which clang would cut it; rename it")


def check_name(path, what):
    """Refuses a path that clang's list of what it read spells differently: `\\` as `/`, a tab as the end of a name."""
    if "\\" in path:
        raise StopError(f"{what}: {path} has a backslash in its name, which clang writes as a slash; rename it")
    if not path.isprintable() and any(character.isspace() and character != " " for character in path):
        raise StopError(f"{what}: {path} has a tab or the like in its name, which clang's list doesn't mark; rename it")
