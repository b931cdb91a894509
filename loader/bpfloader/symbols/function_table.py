"""FunctionTable, the functions of a file by address: packed arrays, whose names are decoded when they are asked for.

A stripped file's come from what was kept for it (debug_files.py): the same functions, at the same addresses.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from itertools import islice
from operator import itemgetter
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from .binary import Binary, string_at
from .readable import readable

if TYPE_CHECKING:
    from .inlined import InlinedCalls

MAX_TABLES = 4  # of a file; the format knows two
MAX_ALIASES = 64  # names of one function that are looked at
MAX_FUNCTIONS = 1 << 21  # of one file; Chromium, with all of its own, has fewer than a million


class FunctionOffset(NamedTuple):
    """A place in a function: the function's name, and the offset from its start in bytes."""

    name: str
    offset: int


class FunctionTable:
    """The functions in files that were one: a binary, and the one that has what was stripped from it.

    Raises ValueError for a broken file, OSError.
    """

    def __init__(self, binaries: Sequence[Binary]):
        self.segments, self.build_id = binaries[0].segments(), binaries[0].build_id()
        self.inlined: InlinedCalls | None = None
        self._texts: list[bytes] = []
        rows: list[tuple[int, int, int]] = []  # address, end, place of the name: the table's number and the place there
        for each in binaries:
            for table in islice(each.tables(), MAX_TABLES):
                base = len(self._texts) << 32
                self._texts.append(table.texts)
                functions = islice(each.function_rows(table), MAX_FUNCTIONS - len(rows))
                rows += ((address, end, base | name) for address, end, name in functions)
        rows.sort()
        self._starts, self._ends, self._names = (array("Q", map(itemgetter(column), rows)) for column in range(3))
        self.size = 24 * len(rows) + sum(map(len, self._texts))  # about the bytes of memory that it takes

    def read_inlined(self, files: Sequence[BinaryIO]) -> None:
        """Reads the inlined functions of the first of these files that has DWARF. Raises LibraryError."""
        from .inlined import InlinedCalls

        for file in files:
            with suppress(ValueError):
                self.inlined = InlinedCalls(file)
                self.size += self.inlined.size
                return

    def __len__(self) -> int:
        return len(self._starts)

    def address_of(self, offset: int) -> int | None:
        """Returns the address of an offset of the file; None for one that isn't mapped as code."""
        for start, size, address in self.segments:
            if start <= offset < start + size:
                return offset - start + address
        return None

    def at(self, offset: int) -> FunctionOffset | None:
        """Returns the function at an offset of the file; None if there is none."""
        address = self.address_of(offset)
        return None if address is None else self.at_address(address)

    def inlined_at(self, offset: int) -> list[str]:
        """Returns the functions inlined at an offset of the file, the innermost first; none where nobody reads them."""
        address = self.address_of(offset)
        return [] if address is None or self.inlined is None else self.inlined.at(address)

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
