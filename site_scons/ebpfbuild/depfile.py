"""What a compile really read, from clang's -MD, held against what the build graph knows."""

import os
import re
from collections.abc import Iterable

from .errors import UndeclaredInputError

_ESCAPED = re.compile(r"\\([ #:\\])")


def read_depfile(text: str, root: str) -> list[str]:
    """The prerequisites of a make rule as clang writes it, in order, normalised: `a/../b.h` is `b.h`, and what lies below
    `root`, where clang ran, relative to it (clang writes an `#embed`ded file absolute).

    Source of the escapes: clang's DependencyFile.cpp (`\\ ` and `\\#` for a blank and a hash, `$$` for a dollar).
    """
    joined = text.replace("\\\r\n", " ").replace("\\\n", " ")
    _, _, prerequisites = joined.partition(": ")
    words = re.findall(r"(?:\\.|[^\s\\])+", prerequisites)
    paths = (os.path.normpath(_ESCAPED.sub(r"\1", word).replace("$$", "$")) for word in words)
    return [path.removeprefix(f"{root}/") for path in paths]


def check_inputs(read: Iterable[str], known: Iterable[str], source: str) -> None:
    """Refuses a compile that read a file which the graph does not know. Raises UndeclaredInputError naming each."""
    unknown = sorted(set(read) - {os.path.normpath(path) for path in known})
    if unknown:
        raise UndeclaredInputError(
            f"the compile read {unknown[0]}, which the build graph does not know",
            where=source,
            fix="write the #include so that its name can be read from the source, or declare it: depends=[…] on the program",
            details=tuple(f"also unknown: {path}" for path in unknown[1:]),
        )
