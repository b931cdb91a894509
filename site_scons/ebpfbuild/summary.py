"""Writes the end of a build: what it made, as a table, and how long that took."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from .console import amount
from .escape import printable

MAX_OBJECT_LINES = (
    24  # objects that have a line each: as many as a terminal shows; of more there is a line for each arch
)
MADE = "MADE     "


class MadeObject(NamedTuple):
    """An object of this build: its path, the folder of its arch, its bytes, and the lines of the vmlinux.h it includes.

    `lines` is None for one that is linked of others, and 0 for one without a vmlinux.h. `proof` is "proven", "not
    proven", "full header", or empty where there is no vmlinux.h.
    """

    path: str
    arch: str
    size: int
    lines: int | None
    proof: str


class MadePackage(NamedTuple):
    """A wheel, a tar or an image of this build, by its path and its bytes."""

    path: str
    size: int


def summary(objects: Iterable[MadeObject], packages: Iterable[MadePackage], seconds: float, how: str = "") -> str:
    """Returns the lines, in columns; one an arch where there are too many objects. Empty for a build of nothing.

    `how` stands behind the seconds.
    """
    objects, packages = sorted(objects), sorted(packages)
    if not objects and not packages:
        return ""
    rows = [_row(each) for each in objects] if len(objects) <= MAX_OBJECT_LINES else _totals(objects)
    rows += [(each.path, amount(each.size)) for each in packages]
    widths = [max((len(row[place]) for row in rows if len(row) > place), default=0) for place in range(4)]
    lines = ["  ".join(map(str.ljust, map(printable, row), widths)).rstrip() for row in rows]
    end = f"in {seconds:.1f} s{', ' if how else ''}{printable(how)}"
    return "".join(f"{MADE}{line}\n" for line in [*lines, end])


def _row(made: MadeObject) -> tuple[str, ...]:
    header = (
        "linked"
        if made.lines is None
        else f"vmlinux.h of {_count(made.lines, 'line')}"
        if made.lines
        else "no vmlinux.h"
    )
    return made.path, amount(made.size), header, made.proof


def _totals(objects: Sequence[MadeObject]) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for arch in sorted({each.arch for each in objects}):
        group = [each for each in objects if each.arch == arch]
        proofs = [
            f"{number} {proof}"
            for proof in ("proven", "not proven", "full header")
            if (number := _proofs(group, proof))
        ]
        numbers = [each.lines for each in group if each.lines]
        lines = f"vmlinux.h of {round(sum(numbers) / len(numbers))} lines on average" if numbers else "no vmlinux.h"
        rows.append(
            (
                f"{_count(len(group), 'object')} for {arch}",
                amount(sum(each.size for each in group)),
                lines,
                ", ".join(proofs),
            )
        )
    return rows


def _proofs(objects: Iterable[MadeObject], proof: str) -> int:
    return sum(each.proof == proof for each in objects)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
