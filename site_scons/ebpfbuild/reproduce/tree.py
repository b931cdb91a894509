"""Finds the files that a build of a project is made of, and copies them to another place.

In a git tree those are the files that git tracks, as they lie there now, with those that it neither tracks nor ignores,
and those that the project's pins name. Elsewhere it is the whole folder without what a build leaves.
"""

import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from ..errors import ReproduceError
from ..git import Tracked, git, git_paths, top_of, tracked

_LEFT = (".git", "__pycache__", ".sconsign.dblite", "compile_commands.json")
YEAR_2001 = 978307200


class SourceTree(NamedTuple):
    """A project's tree: the folder that is copied, the paths of its files below that, and in words where they are from.

    `git` tells if it is a git tree. `base` is the project's root, or the root of the git tree that it lies in.
    """

    base: str
    files: tuple[str, ...]
    origin: str
    git: bool


def tree_of(root: str, builds: Iterable[str], named: Iterable[str]) -> SourceTree:
    """Returns the tree of the project at `root`.

    `builds` are its build folders, from the root; `named` are paths of files and folders that pins name. Raises
    ReproduceError.
    """
    top = top_of(root)
    if top is None:
        outputs = {os.path.join(root, build) for build in builds}
        files = tuple(sorted(os.path.relpath(path, root) for path in _walk(root, outputs)))
        return SourceTree(root, files, f"{len(files)} files: all of the folder but what builds leave", False)
    committed = set(tracked(top).files)
    untracked = set(git_paths(top, "ls-files", "--others", "--exclude-standard") or ())
    left = tuple(os.path.relpath(os.path.join(root, build), top) + os.sep for build in builds)
    untracked = {path for path in untracked if not path.startswith(left) and os.path.basename(path) not in _LEFT}
    pinned = {os.path.relpath(path, top) for each in named for path in _walk(os.path.realpath(each), set())}
    pinned = {path for path in pinned if not path.startswith("..")} - committed - untracked
    files = tuple(sorted(path for path in committed | untracked | pinned if _is_file(os.path.join(top, path))))
    gone = len(committed) - len(committed.intersection(files))
    parts = [f"{len(committed) - gone} that git tracks", f"{len(untracked)} that it neither tracks nor ignores"]
    parts += [f"{len(pinned)} that pins name"] if pinned else []
    return SourceTree(top, files, f"{len(files)} files: {', '.join(parts)}", True)


def copy_tree(tree: SourceTree, place: str, backwards: bool = False, modified: int | None = None) -> None:
    """Copies the tree's files to a new folder, in the reverse order if `backwards`; `modified` is their time.

    A git tree gets a repository that shares the objects of the first, and so does each of its submodules: git says the
    same of both. Raises OSError, ReproduceError.
    """
    known = tracked(tree.base) if tree.git else Tracked([], [], [], [])
    repositories = ["", *known.submodules] if tree.git else []
    for path in repositories:
        _git_like(os.path.join(tree.base, path), os.path.join(place, path))
    for path in known.absent:
        if os.path.isdir(os.path.join(tree.base, path)):
            os.makedirs(os.path.join(place, path), exist_ok=True)
    for path in reversed(tree.files) if backwards else tree.files:
        target = os.path.join(place, path)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        _copy(os.path.join(tree.base, path), target)
        if modified is not None:
            os.utime(target, (modified, modified), follow_symlinks=False)
    for path in repositories:
        git(os.path.join(place, path), "reset", "--quiet")


def _git_like(base: str, place: str) -> None:
    """Makes a repository at a place, of the same HEAD, with an empty work tree."""
    if git(base, "rev-parse", "--verify", "--quiet", "HEAD") is None:  # nothing is committed yet
        Path(place).mkdir(parents=True)
        git(place, "init", "--quiet")
    elif git(base, "clone", "--quiet", "--shared", "--no-checkout", base, place) is None:
        raise ReproduceError("git can't clone it", where=base, fix="check it with git fsck")


def _copy(source: str, target: str) -> None:
    if os.path.islink(source):
        os.symlink(os.readlink(source), target)
        return
    shutil.copyfile(source, target)
    if os.stat(source).st_mode & 0o100:
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(target, 0o777 & ~mask)


def _walk(path: str, outputs: set[str]) -> Iterator[str]:
    """Yields the files at or below a path, without what builds leave."""
    if os.path.islink(path) or not os.path.isdir(path):
        yield from [path] if _is_file(path) else []
        return
    for entry in sorted(os.listdir(path)):
        inner = os.path.join(path, entry)
        left = entry in _LEFT or inner in outputs or os.path.exists(os.path.join(inner, "pyvenv.cfg"))
        if not left:
            yield from _walk(inner, outputs)


def _is_file(path: str) -> bool:
    """Returns True if a path is one that is copied: a file or a symlink; nobody can copy a pipe."""
    return os.path.islink(path) or os.path.isfile(path)
