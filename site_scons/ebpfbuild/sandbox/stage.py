"""Lays out the files of one action in a folder that becomes all that it sees: its inputs and the project's links.

A file is copied once into a store beside the stages, by its identity, and linked into each stage that has it.
"""

from __future__ import annotations

import os
import stat
import time
from errno import EIO, ENOMEM, ESTALE

TYPE_CHECKING = False  # typing's costs, helper.py says why
if TYPE_CHECKING:
    from collections.abc import Iterable

TICK = 50_000_000  # nanoseconds within which a second change of a file may leave its times as they are
MOST_LINKS = 40  # that are followed in one path, as the kernel has it


class Stage:
    """A stage in `place` for files of the folder `root`; `store` is the folder of the copies.

    Folders on the way to a path of `anywhere` may be links to any place, as a build folder may. Other links that lead
    out of `root` are left out, and what lies behind them; with `follow`, what is added by such a link is there.
    """

    def __init__(self, root: str, place: str, store: str, anywhere: Iterable[str] = (), follow: bool = False):
        self._root, self._place, self._store = os.path.realpath(root), place, store
        self._follow = follow
        self._anywhere = {
            "/".join(parts[:count]) for parts in map(_parts, anywhere) for count in range(1, len(parts) + 1)
        }
        self._seen: dict[str, str | bool] = {
            "": True
        }  # a path to: True for a folder or file, False for nothing, a link's target
        os.mkdir(place, 0o555)

    def add(self, path: str) -> None:
        """Adds a file or folder by its path from the root, with the links on the way there."""
        for _ in range(MOST_LINKS):
            parts = _parts(path)
            for count in range(1, len(parts) + 1):
                here = "/".join(parts[:count])
                if here not in self._seen:
                    self._seen[here] = self._added(here)
                found = self._seen[here]
                if found is False:
                    return
                if isinstance(found, str):
                    path = "/".join([found, *parts[count:]])
                    break
            else:
                return

    def writable(self, path: str) -> str:
        """Adds an empty folder that the action may write; returns its place."""
        self.add(path)
        place = os.path.join(self._place, *_parts(path))
        os.makedirs(place, exist_ok=True)
        os.chmod(place, 0o755)
        return place

    def _added(self, path: str) -> str | bool:
        """Adds the last part of a path whose folder is there and no link."""
        real, target = os.path.join(self._root, path), os.path.join(self._place, path)
        try:
            found = os.lstat(real)
            if stat.S_ISLNK(found.st_mode) and (path in self._anywhere or (self._follow and self._leads_out(path))):
                found = os.stat(real)
        except OSError as error:
            if error.errno in (EIO, ENOMEM, ESTALE):  # it may be there
                raise
            return False
        if stat.S_ISDIR(found.st_mode):
            try:
                os.mkdir(target, 0o555)
            except FileExistsError:
                pass
        elif stat.S_ISLNK(found.st_mode):
            return self._linked(path, os.readlink(real), target)
        elif stat.S_ISREG(found.st_mode):
            self._link(real, found, target)
        else:
            return False
        return True

    def _linked(self, path: str, leads: str, target: str) -> str | bool:
        """Adds a link, relative to its folder. Returns the path from the root where it leads, False for out of it."""
        folder = os.path.dirname(path)
        if ".." in leads.lstrip("./") or os.path.isabs(leads):  # `..` behind another link is not beside it
            to = os.path.relpath(os.path.realpath(os.path.join(self._root, path)), self._root)
        else:
            to = os.path.normpath(os.path.join(folder, leads))
        if _is_above(to):
            return False
        os.symlink(os.path.relpath(to, folder or "."), target)
        return "" if to == "." else to

    def _leads_out(self, path: str) -> bool:
        return _is_above(os.path.relpath(os.path.realpath(os.path.join(self._root, path)), self._root))

    def _link(self, source: str, found: os.stat_result, target: str) -> None:
        """Links the stored copy of a file to a place, and makes the copy where there is none yet."""
        if _is_settled(found):
            try:
                os.link(self._stored(found), target)
                return
            except FileNotFoundError:
                pass
        handle = os.open(source, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                return
            copy(handle, target)
            now = os.fstat(handle)  # what was written to it meanwhile is seen by its time
        finally:
            os.close(handle)
        if _is_settled(now):
            try:
                os.link(target, self._stored(now))
            except FileExistsError:  # another action was faster
                pass

    def _stored(self, now: os.stat_result) -> str:
        name = f"{now.st_dev:x}-{now.st_ino:x}-{now.st_size:x}-{now.st_mtime_ns:x}-{now.st_ctime_ns:x}"
        return f"{self._store}/{name}"


def _is_settled(now: os.stat_result) -> bool:
    return time.time_ns() - now.st_ctime_ns >= TICK


def _is_above(path: str) -> bool:
    return path == ".." or path.startswith("../")


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in ("", ".")]


def copy(handle: int, target: str, mode: int = 0o444) -> None:
    """Copies an open file to a new one, which nobody may write unless `mode` says so. Raises OSError."""
    out = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        while data := os.read(handle, 1 << 20):
            os.write(out, data)
    finally:
        os.close(out)
