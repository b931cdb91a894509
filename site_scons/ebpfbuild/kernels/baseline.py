"""Keeps the failures that a project knows of, in a file that reviewers read: a build fails for new ones alone."""

from collections.abc import Iterable
from pathlib import Path

from ..errors import KernelCheckError
from ..files import read_regular, write_file
from .matrix import Matrix
from .text import many

HEAD = "# Programs that fail on kernels, known and accepted; CHECK_KERNELS=record writes this file anew.\n"
MAX_SIZE = 16 << 20


def failures(matrix: Matrix) -> list[str]:
    """Returns a line for each failure, sorted: object, program, kernel, and what fails, with tabs between."""
    found = set()
    for each in matrix.findings():
        if each.problem.fails:
            what = f"{each.problem.kind} {each.problem.what}"
            found |= {"\t".join((each.object, each.program, kernel, what)) for kernel in each.kernels}
    return sorted(found)


def new_failures(matrix: Matrix, path: Path) -> list[str]:
    """Returns the failures that a baseline doesn't list; all of them where there is none. Raises OSError."""
    return [line for line in failures(matrix) if line not in _known(path)]


def require_no_new(matrix: Matrix, path: Path, shown: str) -> None:
    """Raises KernelCheckError for failures that a baseline, called `shown`, doesn't list."""
    found = new_failures(matrix, path)
    if found:
        new = many(len(found), "new failure")
        fix = "mend them, or accept them all: CHECK_KERNELS=record"
        details = tuple("  ".join(line.split("\t")) for line in found)
        raise KernelCheckError(f"{new} on the declared kernels", where=shown, fix=fix, details=details)


def record(matrix: Matrix, path: Path) -> int:
    """Writes the baseline, and returns how many failures it lists."""
    lines = failures(matrix)
    write_file(path, (HEAD + "".join(f"{line}\n" for line in lines)).encode())
    return len(lines)


def _known(path: Path) -> Iterable[str]:
    try:
        text = read_regular(path, MAX_SIZE).decode("utf-8", "replace")
    except FileNotFoundError:
        return frozenset()
    return frozenset(line for line in text.splitlines() if line and not line.startswith("#"))
