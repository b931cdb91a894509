"""FunctionTable, the functions of a file by address: packed arrays, whose names are decoded when they are asked for.

A stripped file's come from what was kept for it (debug_files.py): the same functions, at the same addresses.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from functools import lru_cache
from itertools import islice
from operator import itemgetter
from typing import NamedTuple

from .binary import Binary, string_at
from .readable import readable

MAX_TABLES = 4  # of a file; the format knows two
MAX_ALIASES = 64  # names of one function that are looked at
MAX_FUNCTIONS = 1 << 21  # of one file; Chromium, with all of its own, has fewer than a million


class FunctionOffset(NamedTuple):
    """A place in a function: the function's name, and the offset from its start in bytes."""

    name: str
    offset: int


class FunctionTable:
    """The functions in files that were one: a binary, and those that have what was stripped from it.

    Raises ValueError for a broken file, OSError.
    """

    def __init__(self, binary: Binary, others: Sequence[Binary] = ()):
        self.segments = binary.segments()
        self._texts: list[bytes] = []
        rows: list[tuple[int, int, int]] = []  # address, end, place of the name: the table's number and the place there
        for each in (binary, *others):
            for table in islice(each.tables(), MAX_TABLES):
                base = len(self._texts) << 32
                self._texts.append(table.texts)
                functions = islice(each.function_rows(table), MAX_FUNCTIONS - len(rows))
                rows += ((address, end, base | name) for address, end, name in functions)
        rows.sort()
        self._starts, self._ends, self._names = (array("Q", map(itemgetter(column), rows)) for column in range(3))
        self.size = 24 * len(rows) + sum(map(len, self._texts))  # about the bytes of memory that it takes

    def __len__(self) -> int:
        return len(self._starts)

    def at(self, offset: int) -> FunctionOffset | None:
        """Returns the function at an offset of the file; None if there is none."""
        for start, size, address in self.segments:
            if start <= offset < start + size:
                return self.at_address(offset - start + address)
        return None

    def at_address(self, address: int) -> FunctionOffset | None:
        """Returns the function at an address of the file; of several names one without an underscore, the shortest."""
        last = bisect_right(self._starts, address)
        if not last:
            return None
        start = self._starts[last - 1]
        first = bisect_left(self._starts, start, 0, last)
        rows = range(first, min(last, first + MAX_ALIASES))
        names = [self._name(self._names[row]) for row in rows if address < self._ends[row]]
        if not names:
            return None
        return FunctionOffset(readable_name(min(names, key=_preference)), address - start)

    def _name(self, place: int) -> str:
        return string_at(self._texts[place >> 32], place & 0xFFFFFFFF)


def _preference(name: str) -> tuple[bool, int, str]:
    return name.startswith("_") and not name.startswith(("_Z", "_R")), len(name), name


@lru_cache(maxsize=1 << 14)
def readable_name(symbol: str) -> str:
    """Returns a function's name as its language spells it, without a symbol's version."""
    return readable(symbol.split("@")[0])
