"""Finds what a build made, and reads it for a comparison."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from ..files import read_regular

MEMORY = (".sconsign", ".ebpf-ledger")  # what SCons and this tool remember, of this machine's stats
NOT_COMPARED = "what SCons and this tool remember of a build (.sconsign.dblite, .ebpf-ledger), bytecode (__pycache__)"
MAX_OUTPUT_SIZE = 1 << 30  # bytes of an output: a root file system's image, say


class Seen(NamedTuple):
    """A file's identity: another one after a build says that the build wrote it."""

    inode: int
    modified: int
    size: int


def look(root: str) -> dict[str, Seen]:
    """Returns each file and symlink below a folder with its identity, by path from there, but for a build's memory."""
    return {os.path.relpath(path, root): _seen(path) for path in _files(root)}


def made(before: Mapping[str, Seen], after: Mapping[str, Seen]) -> list[str]:
    """Returns the sorted paths of what was written between two looks."""
    return sorted(path for path, seen in after.items() if before.get(path) != seen)


def read_output(root: str, path: str) -> bytes:
    """Returns an output's bytes, of a symlink a text with the place that it leads to.

    compile_commands.json names the project's folder for clangd: that is taken out. Raises OSError.
    """
    place = Path(root, path)
    if place.is_symlink():
        target = os.path.realpath(place)
        return b"symlink to " + os.fsencode(target.removeprefix(f"{os.path.realpath(root)}{os.sep}"))
    data = read_regular(place, MAX_OUTPUT_SIZE)
    if place.name == "compile_commands.json":
        data = data.replace(os.fsencode(root), b"")
    return data


def read_both(root: str, path: str, other: Path) -> tuple[bytes, bytes]:
    """Returns an output's bytes and those of somebody else's file for it.

    Two symlinks with the same words are the same, wherever they lead. Else what they lead to counts, for a copy of a
    build folder may hold files in their places or lie where they lead nowhere; of a folder its name alone, since it is
    none of the outputs and lies where somebody has it. Raises OSError.
    """
    place = Path(root, path)
    if not place.is_symlink():
        return read_output(root, path), read_regular(other, MAX_OUTPUT_SIZE)
    words = [os.readlink(each) if each.is_symlink() else "" for each in (place, other)]
    if words[0] != words[1] and place.is_file() and other.is_file():
        return read_regular(place, MAX_OUTPUT_SIZE), read_regular(other, MAX_OUTPUT_SIZE)
    if place.is_dir():
        words = [os.path.basename(each) for each in words]
    one, two = (os.fsencode(f"symlink to {each}") for each in words)
    return one, two


def _files(folder: str) -> Iterator[str]:
    for entry in os.scandir(folder):
        if entry.is_dir(follow_symlinks=False):
            if entry.name not in (".git", "__pycache__"):
                yield from _files(entry.path)
        elif not entry.name.startswith(MEMORY) and (entry.is_symlink() or entry.is_file()):
            yield entry.path


def _seen(path: str) -> Seen:
    found = os.lstat(path)
    return Seen(found.st_ino, found.st_mtime_ns, found.st_size)
