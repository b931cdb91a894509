"""Prints the verifier's figures as a table, as veristat does: `python -m bpfloader verify`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..kernel.host import kernel_release
from ..libbpf.program_log import LOG_SIZE
from ..text import printable
from .baseline import Baseline, Change, Measured, dearer, shown
from .verify import ProgramFigures

HEADS = "program", "verdict", "insns", "states", "peak", "stack", "time (us)", "code", "jited", "memlock"


def figures_text(found: Sequence[ProgramFigures]) -> str:
    """Returns the table, an object at a time, with the reasons of refusals and the most visited source lines."""
    lines = []
    for where in dict.fromkeys(each.object for each in found):
        mine = [each for each in found if each.object == where]
        lines += [printable(where), *_table(HEADS, map(_cells, mine))]
        lines += [printable(f"  {each.program}: {each.reason}") for each in mine if each.reason]
        for each in (each for each in mine if each.lines):
            part = "" if each.lines_whole else f", in the last {LOG_SIZE >> 20} MiB of its log"
            lines += [f"  the lines of {each.program} that the verifier visits most{part}", *_visits(each)]
        lines.append("")
    loaded = sum(each.verdict == "loaded" for each in found)
    return "\n".join([*lines, f"{loaded} of {len(found)} programs load on Linux {kernel_release()}"])


def _cells(each: ProgramFigures) -> tuple[str, ...]:
    figures = each.figures
    counts = figures[:3] + (figures.stack_depth, figures.duration_us) if figures else ("-",) * 5
    sizes = (each.xlated_size, each.jited_size, each.memlock) if each.verdict == "loaded" else ("-",) * 3
    return each.program, each.verdict, *map(str, (*counts, *sizes))


def _visits(each: ProgramFigures) -> list[str]:
    width = len(str(each.lines[0].visits))
    return [f"  {line.visits:{width + 2}}  {f'{line.place}: ' if line.place else ''}{line.text}" for line in each.lines]


def changes_text(base: Baseline, measured: Measured, found: Sequence[Change], limit: float) -> str:
    """Returns what differs from a baseline in a table, and what got dearer in a line each."""
    lines, nearest = [], base.nearest(measured.arch, measured.kernel)
    if not nearest:
        return f"Linux {measured.kernel}, {measured.arch}: the baseline has no figures of such a kernel"
    if nearest != measured.kernel:
        lines.append(f"The baseline is of Linux {nearest}; kernels differ in their figures")
    rows = [_change(each) for each in found if _differs(each)]
    where = "" if measured.kernel == kernel_release() else f"Linux {measured.kernel}, {measured.arch}: "
    lines += [f"{where}Against the baseline, {len(rows)} of {len(found)} programs differ", *_table(CHANGES, rows)]
    worse = dearer(found)
    lines += [printable(f"  {each.object}: {each.program} got dearer: {each.dearer}") for each in worse]
    lines += [f"{len(worse)} programs got dearer by {limit:g} % or more" if worse else "no program got dearer"]
    return "\n".join(lines)


CHANGES = "program", "insns", "states", "peak", "stack", "verdict"
COMPARED = "insns", "total_states", "peak_states", "stack_depth", "verdict"


def _differs(each: Change) -> bool:
    before, now = each.before, each.now
    if before is None or now is None:
        return True
    pairs = [(before.get(name), now.get(name)) for name in COMPARED]
    return any(one != other for one, other in pairs if None not in (one, other))


def _change(each: Change) -> tuple[str, ...]:
    """Returns a program's row: a figure that is the same once, another one as `before -> now`."""
    if each.before is None or each.now is None:
        row = each.now or each.before or {}
        word = "new" if each.before is None else "gone"
        return each.program, *(shown(row.get(name)) for name in COMPARED[:-1]), word
    pairs = [(each.before.get(name), each.now.get(name)) for name in COMPARED]
    return each.program, *(shown(now) if before == now else f"{shown(before)} -> {shown(now)}" for before, now in pairs)


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Returns rows in columns, numbers to the right; nothing where there are none."""
    table = [heads, *([printable(cell) for cell in row] for row in rows)]
    if len(table) == 1:
        return []
    widths = [max(map(len, column)) for column in zip(*table)]
    return ["  " + "  ".join(_aligned(i, *pair) for i, pair in enumerate(zip(row, widths))).rstrip() for row in table]


def _aligned(column: int, cell: str, width: int) -> str:
    return cell.ljust(width) if column == 0 or not cell[-1:].isdigit() and cell != "-" else cell.rjust(width)
