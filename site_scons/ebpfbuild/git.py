"""Asks git about a project's tree, in an environment that is the same on every machine."""

import os
import string
import subprocess
from typing import NamedTuple

from .host_tools import CLEAN_ENVIRONMENT

# Other users' checkouts as well, and no program that their configuration names is started.
COMMAND = ("git", "-c", "safe.directory=*", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null")

_SUBMODULE = "160000 "  # the mode of one in git's index; source: gitformat-index(5)
_UNWATCHED = f"S{string.ascii_lowercase}"  # before skip-worktree and assume-unchanged; source: git-ls-files(1)


class Commit(NamedTuple):
    """The last commit of a tree: its name, and when it was committed, in seconds since 1970."""

    name: str
    seconds: int


def git(folder: str, *words: str) -> list[str] | None:
    """Returns the lines that git prints in a folder; None where it fails or isn't installed."""
    text = _printed(folder, *words)
    return None if text is None else text.splitlines()


def git_paths(folder: str, *words: str) -> list[str] | None:
    """Returns the paths that git prints in a folder, of any characters; None where it fails or isn't installed."""
    text = _printed(folder, *words, "-z")
    return None if text is None else text.split("\0")[:-1]


class Tracked(NamedTuple):
    """What git tracks in a tree, by its path from there: files, submodules that are checked out, and those that aren't.

    The submodules' own files and submodules are among them, each submodule behind the one that it lies in. `unwatched`
    are those files that git was told to take for unchanged: `assume-unchanged`, `skip-worktree`.
    """

    files: list[str]
    submodules: list[str]
    absent: list[str]
    unwatched: list[str]


def tracked(top: str) -> Tracked:
    """Returns what git tracks in a tree, whatever its configuration says of submodules."""
    found = Tracked([], [], [], [])
    _add_tracked(top, "", found)
    return found


def _add_tracked(top: str, below: str, found: Tracked) -> None:
    for entry in git_paths(os.path.join(top, below), "ls-files", "--stage", "-v") or ():
        facts, _, name = entry.partition("\t")
        path = os.path.join(below, name)
        if facts[0] in _UNWATCHED:
            found.unwatched.append(path)
        if not facts.startswith(_SUBMODULE, 2):
            found.files.append(path)
        elif os.path.lexists(os.path.join(top, path, ".git")):
            found.submodules.append(path)
            _add_tracked(top, path, found)
        else:
            found.absent.append(path)


def top_of(folder: str) -> str | None:
    """Returns the root of the git tree that a folder lies in, as an absolute path without symlinks; None for none."""
    lines = git(folder, "rev-parse", "--show-toplevel")
    return os.path.realpath(lines[0]) if lines else None


def unread(folder: str) -> str | None:
    """Returns the .git that a folder lies beside or below though git finds no tree there; None where there is none."""
    way = os.path.realpath(folder)
    places = (os.path.join(way.rsplit(os.sep, up)[0], ".git") for up in range(way.count(os.sep) + 1))
    return None if top_of(folder) else next(filter(os.path.lexists, places), None)


def changed_paths(folder: str) -> list[str] | None:
    """Returns what differs from the last commit, whatever the configuration says of submodules; None where git fails.

    In a tree without a commit that is all that git tracks.
    """
    commit = "HEAD" if git(folder, "rev-parse", "--verify", "--quiet", "HEAD") else "--cached"
    return git_paths(folder, "diff", "--name-only", "--ignore-submodules=none", commit)


def last_commit(folder: str) -> Commit | None:
    """Returns the commit that is checked out; None where there is none."""
    lines = git(folder, "log", "-1", "--format=%H %ct")
    if not lines:
        return None
    name, seconds = lines[0].split()
    return Commit(name, int(seconds))


def _printed(folder: str, *words: str) -> str | None:
    try:
        done = subprocess.run([*COMMAND, "-C", folder, *words], env=CLEAN_ENVIRONMENT, capture_output=True)
    except FileNotFoundError:
        return None
    return None if done.returncode else os.fsdecode(done.stdout)
