"""The figures of programs as JSON; a file of them by kernel, for reviewers to read; and what got dearer against it.

The file has a line for each object, program, arch and kernel, with tabs between, sorted. `verify` writes and compares
the kernel that runs, a build's `boot` those that it boots, each through this module.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ..arch import this_arch
from ..errors import ObjectError
from ..kernel.host import kernel_release
from .verify import ProgramFigures

FORMAT = 1
RECORD_IT = "write one by verify --record"
LIMITED = "insns", "total_states"  # of one kernel the same in each run; a program is dearer where one of them grew
FIGURES = *LIMITED, "peak_states", "stack_depth"  # which the file holds, behind the verdict
COUNTED = *FIGURES, "max_states_per_insn", "mark_read", "duration_us"
COLUMNS = "object", "program", "arch", "kernel", "verdict", *FIGURES
HEAD = "# What programs take of each kernel's verifier; verify --record and boot --record write their kernels' lines.\n"
UNTOLD = "-"  # a figure that a kernel doesn't tell
VERDICTS = "loaded", "refused"
MAX_LIMIT = 10_000  # percent

Programs = Mapping[tuple[str, str], dict[str, Any]]  # each program's row by object and name


class Measured(NamedTuple):
    """What one kernel's verifier said: the arch, the kernel's release, and each program's row."""

    arch: str
    kernel: str
    programs: Programs


class Baseline(NamedTuple):
    """The figures of earlier runs, by arch and kernel."""

    kernels: dict[tuple[str, str], Programs]

    def nearest(self, arch: str, kernel: str) -> str:
        """Returns the release to hold a kernel against: its own, the newest of its series, or a file's only one."""
        known = [release for its_arch, release in self.kernels if its_arch == arch]
        if kernel in known:
            return kernel
        alike = [release for release in known if _series(release) == _series(kernel) or len(self.kernels) == 1]
        return max(alike, key=_numbers, default="")


class Change(NamedTuple):
    """A program against the baseline. `before` is None for a new program, `now` for one that has gone.

    `dearer` says in words what grew beyond the limit, or that it loaded before; empty where nothing did.
    """

    object: str
    program: str
    before: dict[str, Any] | None
    now: dict[str, Any] | None
    dearer: str


def as_dict(found: Iterable[ProgramFigures]) -> dict[str, Any]:
    """Returns the figures in plain values, as `verify --json` prints them."""
    return {
        "format": FORMAT,
        "kernel": kernel_release(),
        "arch": this_arch(),
        "programs": [_row(each) for each in found],
    }


def _row(each: ProgramFigures) -> dict[str, Any]:
    figures = each.figures._asdict() if each.figures else dict.fromkeys(COUNTED)
    row = each._asdict()
    del row["figures"]
    return {**row, **figures, "lines": [line._asdict() for line in each.lines]}


def measured_here(found: Iterable[ProgramFigures]) -> Measured:
    """Returns what the kernel that runs said."""
    return Measured(this_arch(), kernel_release(), {(each.object, each.program): _row(each) for each in found})


def read_measured(data: bytes, where: str) -> Measured:
    """Reads what `verify --json` printed, here or elsewhere. Raises ObjectError for anything else."""
    try:
        found = json.loads(data)
        if found["format"] != FORMAT:
            raise ObjectError(f"{where} is of format {found['format']}, this loader reads {FORMAT}", fix=RECORD_IT)
        programs = {(_text(row["object"]), _text(row["program"])): _checked(row) for row in found["programs"]}
        return Measured(_text(found["arch"]), _text(found["kernel"]), programs)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise ObjectError(f"{where} holds no figures of verify", fix=RECORD_IT) from None


def _text(value: object) -> str:
    if not isinstance(value, str) or not value or re.search(r"[\0-\x1f]", value):
        raise ValueError(value)
    return value


def _checked(row: dict[str, Any]) -> dict[str, Any]:
    """Returns a program's row. Raises ValueError for figures that are no counts."""
    for name in FIGURES:
        if row.get(name) is not None and not (type(row[name]) is int and row[name] >= 0):
            raise ValueError(row)
    if row["verdict"] not in VERDICTS:
        raise ValueError(row)
    return row


def read_baseline(data: bytes, where: str, may_be_empty: bool = False) -> Baseline:
    """Reads what `--record` wrote, or `verify --json` printed. Raises ObjectError for anything else, with its line.

    A file without a line is no baseline; `may_be_empty` where lines are only added to it.
    """
    if data.lstrip().startswith((b"{", b"[")):
        measured = read_measured(data, where)
        return Baseline({(measured.arch, measured.kernel): measured.programs})
    kernels: dict[tuple[str, str], dict[tuple[str, str], dict[str, Any]]] = {}
    for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), 1):
        if line and not line.startswith("#"):
            try:
                row = dict(zip(COLUMNS, line.split("\t"))) if line.count("\t") == len(COLUMNS) - 1 else {}
                figures = {name: _count(row[name]) for name in FIGURES}
                found = _checked({"verdict": row["verdict"], **figures})
                key = _text(row["object"]), _text(row["program"])
                known = kernels.setdefault((_text(row["arch"]), _text(row["kernel"])), {})
            except (ValueError, KeyError):
                raise ObjectError(f"{where}:{number} is no line of verifier figures", fix="remove that line") from None
            if known.setdefault(key, found) != found:  # as a merge of two branches leaves it
                what = f"{where}:{number} has other figures of {key[1]} than a line before it"
                raise ObjectError(what, fix="remove one of the two")
    if not kernels and not may_be_empty:
        raise ObjectError(f"{where} holds no figures of verify", fix=RECORD_IT)
    return Baseline(dict(kernels))


def _count(text: str) -> int | None:
    if not re.fullmatch(r"\d{1,15}|-", text):
        raise ValueError(text)
    return None if text == UNTOLD else int(text)


def baseline_text(base: Baseline | None, found: Iterable[Measured]) -> str:
    """Returns the text of a file with the lines of the kernels found, in the place of those of their series.

    Other kernels' lines stay.
    """
    new = {(each.arch, each.kernel): each.programs for each in found}
    replaced = {(arch, _series(kernel)) for arch, kernel in new}
    before = base.kernels if base else {}
    kept = {key: rows for key, rows in before.items() if (key[0], _series(key[1])) not in replaced}
    lines = [
        (*program, *kernel, row["verdict"], *(shown(row.get(name)) for name in FIGURES))
        for kernel, rows in {**kept, **new}.items()
        for program, row in rows.items()
    ]
    return HEAD + f"# {'  '.join(COLUMNS)}\n" + "".join("\t".join(line) + "\n" for line in sorted(lines))


def shown(figure: int | str | None) -> str:
    """Writes a figure or a verdict."""
    return UNTOLD if figure is None else str(figure)


def _series(release: str) -> tuple[str, ...]:
    """Returns what stays the same when a kernel gets its next fix: 6.1 of 6.1.0-50-cloud-amd64, and its words."""
    words = re.sub(r"\d+", "#", re.sub(r"^[\d.]+(-\d+)?(?!\w)", "", release))
    return (*re.findall(r"\d+", release)[:2], words)


def _numbers(release: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d{1,9}", release)]


def limit_percent(text: str) -> float:
    """Reads a limit such as `20%` or `20`. Raises ValueError."""
    if not re.fullmatch(r"\d{1,5}(\.\d{1,3})?%?", text) or float(text.rstrip("%")) > MAX_LIMIT:
        raise ValueError(f"{text!r} is no limit; give percents, such as 20%")
    return float(text.rstrip("%"))


def changes(base: Baseline, found: Measured, limit: float, whole: bool = True) -> list[Change]:
    """Holds programs against a baseline: the found ones in their order, then, if these are all, those that have gone.

    `limit` is in percent.
    """
    known = base.kernels.get((found.arch, base.nearest(found.arch, found.kernel)), {})
    listed = [Change(*key, known.get(key), row, _dearer(known.get(key), row, limit))
              for key, row in found.programs.items()]  # fmt: skip
    gone = [key for key in known if key not in found.programs] if whole else []
    return listed + [Change(*key, known[key], None, "") for key in gone]


def _dearer(before: dict[str, Any] | None, now: dict[str, Any], limit: float) -> str:
    if before is None:
        return ""
    if (before["verdict"], now["verdict"]) == ("loaded", "refused"):
        return "is refused now"
    grown = (_growth(name, before.get(name), now.get(name), limit) for name in LIMITED)
    return ", ".join(filter(None, grown))


def _growth(name: str, before: int | None, now: int | None, limit: float) -> str:
    """Returns a figure's growth in words; empty where it is within the limit or one of the two isn't known."""
    if before is None or now is None or now <= before or now * 100 < before * (100 + limit):
        return ""
    return f"{name} {before} -> {now}"


def dearer(found: Sequence[Change]) -> list[Change]:
    """Returns the changes for which the command's exit status is 2."""
    return [each for each in found if each.dearer]
