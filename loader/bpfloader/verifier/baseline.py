"""The figures of programs as JSON, and their comparison with those of an earlier run."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from ..arch import this_arch
from ..errors import ObjectError
from ..features.text import as_json
from ..kernel.host import kernel_release
from .verify import ProgramFigures

FORMAT = 1
RECORD_IT = "write one by verify --record"
PASSING = "duration_us", "memlock", "lines"  # which a baseline leaves out
LIMITED = "insns", "total_states"  # of one kernel the same in each run; a program is dearer where one of them grew
COUNTED = *LIMITED, "peak_states", "max_states_per_insn", "mark_read", "stack_depth", "duration_us"
MAX_LIMIT = 10_000  # percent


class Baseline(NamedTuple):
    """The figures of an earlier run: the release of its kernel, and each program's row by object and name."""

    kernel: str
    programs: dict[tuple[str, str], dict[str, Any]]


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
    """Returns the figures in plain values, as `verify --json` prints them and a baseline holds them."""
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


def baseline_text(found: Iterable[ProgramFigures]) -> str:
    """Returns the text of a baseline: what `--json` prints, without what another run of the same programs changes."""
    told = as_dict(found)
    told["programs"] = [{key: value for key, value in row.items() if key not in PASSING} for row in told["programs"]]
    return as_json(told) + "\n"


def read_baseline(data: bytes, where: str) -> Baseline:
    """Reads what `verify --record` wrote or `--json` printed. Raises ObjectError for anything else."""
    try:
        found = json.loads(data)
        if found["format"] != FORMAT:
            raise ObjectError(f"{where} is of format {found['format']}, this loader reads {FORMAT}", fix=RECORD_IT)
        programs = {(_text(row["object"]), _text(row["program"])): _checked(row) for row in found["programs"]}
        return Baseline(_text(found["kernel"]), programs)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise ObjectError(f"{where} is no baseline of verify", fix=RECORD_IT) from None


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(value)
    return value


def _checked(row: dict[str, Any]) -> dict[str, Any]:
    """Returns a program's row. Raises ValueError for figures that are no counts."""
    for name in LIMITED:
        if row[name] is not None and not (type(row[name]) is int and row[name] >= 0):
            raise ValueError(row)
    _text(row["verdict"])
    return row


def limit_percent(text: str) -> float:
    """Reads a limit such as `20%` or `20`. Raises ValueError."""
    if not re.fullmatch(r"\d{1,5}(\.\d{1,3})?%?", text) or float(text.rstrip("%")) > MAX_LIMIT:
        raise ValueError(f"{text!r} is no limit; give percents, such as 20%")
    return float(text.rstrip("%"))


def changes(base: Baseline, found: Iterable[ProgramFigures], limit: float, whole: bool = True) -> list[Change]:
    """Holds programs against a baseline: the found ones in their order, then, if these are all, those that have gone.

    `limit` is in percent.
    """
    rows = {(each.object, each.program): _row(each) for each in found}
    listed = [Change(*key, base.programs.get(key), row, _dearer(base.programs.get(key), row, limit))
              for key, row in rows.items()]  # fmt: skip
    gone = [key for key in base.programs if key not in rows] if whole else []
    return listed + [Change(*key, base.programs[key], None, "") for key in gone]


def _dearer(before: dict[str, Any] | None, now: dict[str, Any], limit: float) -> str:
    if before is None:
        return ""
    if (before["verdict"], now["verdict"]) == ("loaded", "refused"):
        return "is refused now"
    grown = (_growth(name, before[name], now[name], limit) for name in LIMITED)
    return ", ".join(filter(None, grown))


def _growth(name: str, before: int | None, now: int | None, limit: float) -> str:
    """Returns a figure's growth in words; empty where it is within the limit or one of the two isn't known."""
    if before is None or now is None or now * 100 <= before * (100 + limit):
        return ""
    return f"{name} {before} -> {now}"


def dearer(found: Sequence[Change]) -> list[Change]:
    """Returns the changes for which the command's exit status is 2."""
    return [each for each in found if each.dearer]
