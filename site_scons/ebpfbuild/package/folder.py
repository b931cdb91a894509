"""Lays a package out as a folder for PYTHONPATH: what is generated as files, what lies elsewhere as links."""

import os
from collections.abc import Mapping
from pathlib import Path

from ..files import make_room, write_file


def unpack(folder: Path, files: Mapping[str, bytes], links: Mapping[str, str]) -> None:
    """Makes the folder hold just `files` and relative `links` to paths, by their places in it. Raises OSError.

    Python's own `__pycache__` is left: a tool that ran as root made it, and a build as somebody else can't remove it.
    """
    if folder.is_symlink() or not folder.is_dir():
        make_room(folder)
    _remove_others(folder, files.keys() | links.keys())
    for place in files:
        if (folder / place).is_dir():  # also where a link leads to one
            make_room(folder / place)
    for place, data in files.items():
        write_file(folder / place, data)
    for place, path in links.items():
        link = folder / place
        link.parent.mkdir(parents=True, exist_ok=True)
        # By its real place: `..` behind a link in the path would lead elsewhere.
        target = os.path.relpath(os.path.realpath(path), os.path.realpath(link.parent))
        if not link.is_symlink() or os.readlink(link) != target:
            make_room(link)
            link.symlink_to(target)


def leads_to(link: str, path: str) -> bool:
    """Returns True if a place in the folder is a link that leads to a path, as unpack makes it."""
    try:
        return os.path.islink(link) and os.path.samefile(link, path)
    except OSError:
        return False


def _remove_others(folder: Path, places: set[str]) -> None:
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name != "__pycache__"]
        linked = [name for name in folders if os.path.islink(os.path.join(parent, name))]
        for path in (os.path.join(parent, name) for name in [*names, *linked]):
            if os.path.relpath(path, folder) not in places:
                os.unlink(path)
