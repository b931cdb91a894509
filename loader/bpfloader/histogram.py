"""Draws histograms as text, in bcc's form, from what programs count by slot."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Union

Count = Union[int, Sequence[int]]  # a sequence has one count for each CPU
Counts = Union[Mapping[int, Count], Iterable[Count]]
BAR_WIDTH = 40  # columns of the longest bar
LOG2_SLOTS = 64  # of 64-bit values
LINEAR_SLOTS = 1025  # bcc's limit: each is a row


def log2_histogram(counts: Counts, label: str = "value") -> str:
    """Returns the rows of a histogram by powers of two; an empty text if nothing was counted.

    `counts` is a map from slots to counts, also one per CPU, or the counts alone, such as an array in `bss`. Slot n
    counts the values from 2**n to 2**(n+1)-1, slot 0 the value 0 as well. Raises ValueError for a slot beyond 63.
    """
    rows = _counts_by_slot(counts, LOG2_SLOTS)
    width = 10 if len(rows) <= 32 else 20
    names = [f"{1 << n if n else 0:{width}} -> {(2 << n) - 1:<{width}}" for n in range(len(rows))]
    return _render(f"     {label:<{2 * width - 1}}", names, rows)


def linear_histogram(counts: Counts, label: str = "value") -> str:
    """Returns a histogram with a row for each slot from 0 to the last with a count; empty if nothing was counted.

    `counts` as for log2_histogram. Raises ValueError for a slot beyond 1024.
    """
    rows = _counts_by_slot(counts, LINEAR_SLOTS)
    return _render(f"     {label:<13}", [f"        {n:<10}" for n in range(len(rows))], rows)


def _counts_by_slot(counts: Counts, slots: int) -> list[int]:
    """Returns the counts by slot up to the last that isn't 0, each the sum over all CPUs."""
    pairs = counts.items() if isinstance(counts, Mapping) else enumerate(counts)
    found = {slot: total for slot, count in pairs if (total := count if isinstance(count, int) else sum(count))}
    if wrong := [slot for slot in found if not 0 <= slot < slots]:
        raise ValueError(f"slots are 0 to {slots - 1}, not {wrong[0]}; count what is larger in the last one")
    last = max(found, default=-1)
    return [found.get(slot, 0) for slot in range(last + 1)]


def _render(head: str, names: list[str], rows: list[int]) -> str:
    if not rows:
        return ""
    most = max(rows)
    bars = ["*" * (BAR_WIDTH * count // most) for count in rows]
    lines = [f"{name} : {count:<8} |{bar:<{BAR_WIDTH}}|" for name, count, bar in zip(names, rows, bars)]
    return "\n".join([f"{head} : count     distribution", *lines])
