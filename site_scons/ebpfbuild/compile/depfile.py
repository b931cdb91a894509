"""Reads the files that a compile read, from clang's -MD, and refuses those that the build graph doesn't know."""

import os
import re
from collections.abc import Iterable

from ..errors import UndeclaredInputError
from ..paths import Tree

_ESCAPED = re.compile(r"\\([ #:\\])")


def read_depfile(text: str) -> list[str]:
    """Returns the prerequisites of a make rule as clang writes it, in order.

    Paths are as clang found them; that of an `#embed`ded file is absolute. Source of the escapes: clang's
    DependencyFile.cpp (`\\ ` and `\\#` for a blank and a hash, `$$` for a dollar).
    """
    joined = text.replace("\\\r\n", " ").replace("\\\n", " ")
    _, _, prerequisites = joined.partition(": ")
    words = re.findall(r"(?:\\.|[^\s\\])+", prerequisites)
    return [_ESCAPED.sub(r"\1", word).replace("$$", "$") for word in words]


def check_inputs(read: Iterable[str], known: Iterable[str], source: str, root: str) -> None:
    """Refuses a compile in `root` that read a file which the graph does not know, by whichever path.

    Raises UndeclaredInputError naming each.
    """
    known = set(known)
    unknown = [path for path in read if path not in known or ".." in path]
    if not unknown:
        return
    tree = Tree(root)
    files = {tree.real(path) for path in known}
    if unknown := sorted({tree.normalized(path) for path in unknown if tree.real(path) not in files}):
        raise undeclared(unknown, source)


def undeclared(paths: list[str], source: str) -> UndeclaredInputError:
    """Makes the error for files that a compile read and the graph doesn't know, by their normalized paths."""
    if os.path.isabs(paths[0]):
        what, fix = "is outside of the project", "copy it into the project, and include it from there"
    else:
        what = "the build graph does not know"
        fix = (
            "write the #include so that its name can be read from the source, or declare it: depends=[…] on the program"
        )
    return UndeclaredInputError(
        f"the compile read {paths[0]}, which {what}",
        where=source,
        fix=fix,
        details=tuple(f"also unknown: {path}" for path in paths[1:]),
    )
