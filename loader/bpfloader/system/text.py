"""Prints what runs as tables or plain values: `python -m bpfloader ps`."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ..kernel.holders import Process
from ..text import printable
from .snapshot import Snapshot, SystemMap, SystemProgram
from .statistics import run_statistics

FORMAT = 1
SHOWN = 3  # processes, pins and places in a cell; --json has all
MAX_ROWS = 2000  # of a table


class Runs(NamedTuple):
    """How often a program ran within some seconds, and how many nanoseconds all runs took."""

    times: int
    nanoseconds: int


def counted(seconds: float) -> dict[int, Runs]:
    """Counts the runs of programs for some seconds, by id. Raises PrivilegeError, CallError."""
    with run_statistics():
        before = Snapshot().program_infos
        time.sleep(seconds)
        after = Snapshot().program_infos
    return {
        number: Runs(info.run_cnt - before[number].run_cnt, info.run_time_ns - before[number].run_time_ns)
        for number, info in after.items()
        if number in before
    }


def as_dict(found: Snapshot, runs: Mapping[int, Runs]) -> dict[str, Any]:
    """Returns a snapshot in plain values; `runs` of each program where they were counted."""
    return {
        "format": FORMAT,
        "note": found.note,
        "programs": [{**_program_dict(each), **_runs_dict(runs.get(each.info.id))} for each in found.programs],
        "maps": [{**each._asdict()["info"]._asdict(), **_shared(each), "type": each.type, "memlock": each.memlock,
                  "programs": list(each.programs)} for each in found.maps],
        "links": [{**each._asdict(), **_shared(each)} for each in found.links],
    }  # fmt: skip


def _program_dict(each: SystemProgram) -> dict[str, Any]:
    info = each.info._asdict()
    return {**info, "map_ids": list(info["map_ids"]), **_shared(each), "attached": list(each.attached)}


def _runs_dict(runs: Runs | None) -> dict[str, Any]:
    return {"counted": runs._asdict()} if runs else {}


def _shared(each: Any) -> dict[str, Any]:
    return {"holders": [holder._asdict() for holder in each.holders], "pins": list(each.pins)}


def snapshot_text(found: Snapshot, runs: Mapping[int, Runs], seconds: float) -> str:
    """Returns the tables; with `runs`, those that ran within `seconds` first, and the share of a CPU that they took."""
    lines = [found.note, ""] if found.note else []
    heads = ["id", "type", "name", "insns", "memlock", *(["runs/s", "ns each", "% CPU"] if runs else [])]
    programs = sorted(found.programs, key=lambda each: -runs[each.info.id].nanoseconds if each.info.id in runs else 1)
    rows = [(*_program_cells(each, runs, seconds), _places(each.attached), _whose(each.holders), _places(each.pins))
            for each in programs]  # fmt: skip
    lines += _table("Programs", [*heads, "attached", "held by", "pinned"], rows)
    lines += _table("Maps", ["id", "type", "name", "key", "value", "entries", "memlock", "held by", "pinned"],
                    [(*_map_cells(each), _whose(each.holders), _places(each.pins)) for each in found.maps])  # fmt: skip
    lines += _table("Links", ["id", "type", "program", "attached", "held by", "pinned"],
                    [(str(each.id), each.type, f"{each.name} ({each.program})", each.place, _whose(each.holders),
                      _places(each.pins)) for each in found.links])  # fmt: skip
    return "\n".join(lines).rstrip()


def _program_cells(each: SystemProgram, runs: Mapping[int, Runs], seconds: float) -> tuple[str, ...]:
    info, counted = each.info, runs.get(each.info.id)
    cells = str(info.id), info.type, info.name or "?", str(info.instructions), str(info.memlock)
    if not runs:
        return cells
    if not counted or not counted.times:
        return *cells, "0", "-", "0.00"
    rate, share = counted.times / seconds, counted.nanoseconds / seconds / 1e7
    return *cells, f"{rate:.0f}", str(counted.nanoseconds // counted.times), f"{share:.2f}"


def _map_cells(each: SystemMap) -> tuple[str, ...]:
    info = each.info
    sizes = info.key_size, info.value_size, info.max_entries, each.memlock
    return str(info.id), each.type, info.name or "?", *map(str, sizes)


def _places(texts: Sequence[str]) -> str:
    more = f" and {len(texts) - SHOWN} more" if len(texts) > SHOWN else ""
    return ", ".join(texts[:SHOWN]) + more or "-"


def _whose(holders: Iterable[Process]) -> str:
    return _places([f"{name} ({pid})" for pid, name in holders])


def _table(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Returns a title and rows in columns, numbers to the right; the last column isn't filled up."""
    table = [heads, *([printable(cell) for cell in row] for row in rows[:MAX_ROWS])]
    widths = [max(map(len, column)) for column in zip(*table)]
    numeric = {i for i, column in enumerate(zip(*rows)) if all(_is_number(cell) for cell in column)}
    lines = [
        "  ".join(cell.rjust(width) if i in numeric else cell.ljust(width) for i, (cell, width) in enumerate(pairs))
        for pairs in (list(zip(row, widths)) for row in table)
    ]
    left = [f"  and {len(rows) - MAX_ROWS} more; --json has all"] if len(rows) > MAX_ROWS else []
    shown = [f"  {line.rstrip()}" for line in lines] if rows else ["  none"]
    return [title, *shown, *left, ""]


def _is_number(cell: str) -> bool:
    return cell == "-" or cell.replace(".", "", 1).isdigit()
