"""Finds what a release refuses before anything is built: in git's tree, in the Python packages, in the pins."""

import os
import re
from collections.abc import Collection, Iterable
from pathlib import Path

from .errors import ReleaseError
from .git import changed_paths, top_of, tracked, unread
from .pins.pins import HeaderPin, TreePin, UapiPin

FEW = 3  # files that a line names
UPDATE = "git submodule update, and git stash in there"


def refuse(refusals: Iterable[str]) -> None:
    """Raises ReleaseError with all that is refused, a line each; returns where nothing is."""
    lines = tuple(dict.fromkeys(refusals))
    if lines:
        many = f"{len(lines)} things" if len(lines) > 1 else "one thing"
        raise ReleaseError(f"refuses {many}, and nothing was built", where="RELEASE=1", details=lines)


def tree_refusals(root: str, inputs: Collection[str]) -> list[str]:
    """Returns what isn't committed: changed files, and inputs of the build that git doesn't track; and what hides that.

    `inputs` are paths from the project's root. Nothing for a project that lies in no git tree: its papers name it by
    the digests of its files.
    """
    top = top_of(root)
    if top is None:
        return _unread_refusals(root)
    known, changed = tracked(top), changed_paths(root)
    committed = {os.path.join(top, path) for path in known.files}
    places = {os.path.normpath(os.path.join(root, path)): path for path in inputs}
    untracked = sorted(
        path for place, path in places.items() if place.startswith(f"{top}{os.sep}") and place not in committed
    )
    unwatched = [path for path in known.unwatched if os.path.lexists(os.path.join(top, path))]
    lines = []
    if changed is None:
        lines.append(f"{top}: git can't compare it with the last commit; git diff HEAD says why")
    moved = sorted({*known.submodules} & {*(changed or ())})  # of which git stash brings none back
    for paths, undo in (([path for path in changed or () if path not in moved], "git stash"), (moved, UPDATE)):
        differ, what = ("differs", "it") if len(paths) == 1 else ("differ", "them")
        if paths:
            lines.append(f"{_named(paths)} {differ} from the last commit; commit {what}, or {undo}")
    if unwatched:
        fix = "git update-index --no-assume-unchanged or --no-skip-worktree has it look"
        lines.append(f"{_named(unwatched)}: git was told not to look whether it changed; {fix}")
    if untracked:
        lines.append(f"{_named(untracked)}: the build reads what git doesn't track; git add and commit it")
    return lines


def _unread_refusals(root: str) -> list[str]:
    if (path := unread(root)) is None:
        return []
    fix = "install git, or run git status there, which says why; or build a copy without .git"
    return [f"{path}: git can't read it, so nobody knows what is committed; {fix}"]


def package_refusals(lock: Path, folder: Path) -> list[str]:
    """Returns the packages in `folder` of another version than a lock of pip's pins. Raises PythonLockError."""
    from .python_lock import installed_otherwise, read_lock  # not for a null build

    try:
        locked = read_lock(lock)
    except OSError:
        return [f"{lock.name} can't be read, so no package is known to be the locked one; git checkout {lock.name}"]
    wanted = {each.name: each.version for each in locked.packages}
    fix = f"run ./sconsw, or pip install --require-hashes -r {lock.name}"
    return [
        f"the installed {name} {version} is not the {wanted[name]} of {lock.name}; {fix}"
        for name, version in sorted(installed_otherwise(locked, [str(folder)]).items())
    ]


def pin_refusals(pins: Iterable[HeaderPin | TreePin | UapiPin]) -> list[str]:
    """Returns the pins that name no digest, and those whose file of the project is gone."""
    lines = []
    for pin in pins:
        source = getattr(pin, "source", None)
        if isinstance(pin, HeaderPin) and pin.source.btf and (pin.given or pin.source.location == "host"):
            place, fix = pin.source.location, f"name a kernel's file by btf = in {pin.key}"
            what = "is the kernel of whatever machine builds" if place == "host" else "is pinned nowhere"
            lines.append(f"{pin.source.where}: {place} {what}; {fix}")
        elif not pin.sha256:
            lines.append(
                f"{pin.where}: {pin.title} has no sha256; build without RELEASE=1, which prints the line to paste"
            )
        if source is not None and source.in_project and not source.file.is_file():
            lines.append(f"{pin.where}: {source.location} is not there; put back the file that the pin names")
    return lines


def epoch_refusals(given: str) -> list[str]:
    """Returns why a SOURCE_DATE_EPOCH is none, if it isn't. Source: reproducible-builds.org/specs/source-date-epoch."""
    if re.fullmatch(r"[0-9]{1,12}", given, re.ASCII):
        return []
    return [f"SOURCE_DATE_EPOCH={given!r} is no number of seconds; leave it out to have the last commit's"]


def _named(paths: list[str]) -> str:
    more = f" and {len(paths) - FEW} more" if len(paths) > FEW else ""
    return ", ".join(paths[:FEW]) + more
