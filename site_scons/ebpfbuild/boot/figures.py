"""Keeps the verifier's figures of each kernel in a file that reviewers read, and finds programs that became dearer."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from ..errors import BootError
from ..files import read_regular, write_file
from .results import KernelRun

HEAD = (
    "# Instructions that each kernel's verifier looked at, by program; ./sconsw boot --record writes this file anew.\n"
)
MAX_SIZE = 16 << 20
DEARER = 1.20  # from this factor on, a program has become dearer
Key = tuple[str, str, str]  # object, program, kernel


class Change(NamedTuple):
    """A program whose figure moved on a kernel."""

    key: Key
    before: int
    now: int

    def __str__(self) -> str:
        more = 100 * (self.now - self.before) / self.before
        return f"{'  '.join(self.key)}  {self.before} -> {self.now} insns ({more:+.0f} %)"


def measured(runs: Iterable[KernelRun]) -> dict[Key, int]:
    """Returns the figures of programs that were loaded; none of a kernel that doesn't tell (before 5.16)."""
    return {
        (each.object, each.program, run.guest.kernel): each.insns for run in runs for each in run.programs if each.insns
    }


def record(now: Mapping[Key, int], kernels: Iterable[str], path: Path) -> int:
    """Writes the figures, and keeps those of kernels that weren't booted; returns how many lines the file has.

    Raises OSError, and BootError for a file that can't be read.
    """
    booted = set(kernels)
    figures = {key: insns for key, insns in recorded(path).items() if key[2] not in booted} | dict(now)
    lines = ["\t".join((*key, str(insns))) for key, insns in sorted(figures.items())]
    write_file(path, (HEAD + "".join(f"{line}\n" for line in lines)).encode())
    return len(lines)


def recorded(path: Path) -> dict[Key, int]:
    """Returns the figures of a file; none where there is no such file. Raises BootError for a line that is none."""
    try:
        text = read_regular(path, MAX_SIZE).decode("utf-8", "replace")
    except FileNotFoundError:
        return {}
    found: dict[Key, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if line and not line.startswith("#"):
            *key, insns = line.split("\t")
            if len(key) != 3 or not insns.isdecimal() or len(insns) > 15 or not int(insns):
                where, fix = f"{path.name}:{number}", "write the file anew: boot --record"
                raise BootError("is no object, program, kernel and number with tabs between", where=where, fix=fix)
            found[key[0], key[1], key[2]] = int(insns)
    return found


def dearer(now: Mapping[Key, int], before: Mapping[Key, int]) -> list[Change]:
    """Returns the programs that became dearer, the worst first."""
    found = [Change(key, before[key], insns) for key, insns in now.items() if key in before]
    found = [each for each in found if each.now >= DEARER * each.before]
    return sorted(found, key=lambda each: (-each.now / each.before, each.key))


def require_none_dearer(now: Mapping[Key, int], path: Path) -> int:
    """Returns how many figures were compared. Raises BootError for programs that became dearer, or without a record."""
    before = recorded(path)
    if not before:
        raise BootError("holds no figures", where=path.name, fix="record them first: boot --record")
    if found := dearer(now, before):
        count = f"{len(found)} program{' is' if len(found) == 1 else 's are'} at least 20 % dearer to verify"
        fix = "make them cheaper, or accept it: boot --record"
        raise BootError(count, where=path.name, fix=fix, details=tuple(map(str, found)))
    return len(now.keys() & before.keys())
