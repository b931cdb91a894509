"""Holds a .BTF.ext section as words that can be changed in place: which of them are strings, which are types.

The format is the kernel's Documentation/bpf/btf.rst. Unlike ext.py, which reads what later versions added as far as
it is known here, this refuses it: a word that isn't known can't be said to be no reference.
"""

import struct
import sys
from array import array
from typing import NamedTuple, NoReturn

from ..errors import BtfError
from .ext import CORE_HEADER_SIZE, EXT_HEADER, EXT_HEADER_SIZE
from .reader import MAGIC

WORD = 4
FUNCTION_WIDTH, LINE_WIDTH, RELOCATION_WIDTH = 2, 4, 4  # words a record: bpf_func_info, bpf_line_info, bpf_core_relo


class SectionRecords(NamedTuple):
    """The records about one section in a table: the indexes of its name's word, of its records' first, of their end."""

    name: int
    start: int
    end: int
    width: int

    def column(self, number: int) -> slice:
        """Returns the words at one place of each record."""
        return slice(self.start + number, self.end, self.width)


class ExtWords:
    """A parsed section; `words` lack the first four bytes. `functions`, `lines`, `relocations` are its three tables."""

    def __init__(self, data: bytes, little: bool, where: str):
        self.where, self.little = where, little
        self.order = "<" if little else ">"
        self.head, self.words = data[:WORD], array("I", data[WORD : len(data) // WORD * WORD])
        self._swap()
        self._read(data)

    def fail(self, what: str) -> NoReturn:
        """Raises BtfError."""
        raise BtfError(what, where=self.where)

    def _read(self, data: bytes) -> None:
        if len(data) < EXT_HEADER_SIZE or len(data) % WORD:
            self.fail(f"has {len(data)} bytes, which are no header and whole words")
        magic, version, _, start = struct.unpack_from(self.order + EXT_HEADER[:4], data)
        if magic != MAGIC or version != 1 or start not in (EXT_HEADER_SIZE, CORE_HEADER_SIZE):
            self.fail(f"has a header of {start} bytes, starting {data[:3].hex()}, which this writer doesn't know")
        if start > len(data):
            self.fail(f"has a header of {start} bytes in {len(data)}")
        self._end = start
        self.functions = self._table(0, start, FUNCTION_WIDTH)
        self.lines = self._table(1, start, LINE_WIDTH)
        self.relocations = self._table(2, start, RELOCATION_WIDTH) if start == CORE_HEADER_SIZE else []
        if self._end != len(data):
            self.fail(f"has {len(data) - self._end} bytes behind its tables")

    def _table(self, number: int, header: int, width: int) -> list[SectionRecords]:
        """Returns the blocks of a table, which begins where the one before it ended, as clang writes them."""
        at, size = self.words[1 + 2 * number : 3 + 2 * number]
        if not size:
            return []
        end = (self._end + size) // WORD - 1
        if header + at != self._end or end > len(self.words) or size % WORD:
            self.fail(f"has a table of {size} bytes at {at}, which is not where the one before it ended")
        if self.words[self._end // WORD - 1] != width * WORD:
            self.fail(f"has records of {self.words[self._end // WORD - 1]} bytes, not {width * WORD}")
        position, blocks = self._end // WORD, []
        while position < end:
            start = position + 2
            last = start + width * self.words[position + 1] if start <= end else end + 1
            if last > end:
                self.fail("has a section whose records end after its table")
            blocks.append(SectionRecords(position, start, last, width))
            position = last
        self._end += size
        return blocks

    def column(self, blocks: list[SectionRecords], number: int) -> "array[int]":
        """Returns the words at one place of all records of a table."""
        found = array("I")
        for block in blocks:
            found += self.words[block.column(number)]
        return found

    def written(self) -> bytes:
        """Returns the section's bytes."""
        self._swap()
        data = self.head + self.words.tobytes()
        self._swap()
        return data

    def _swap(self) -> None:
        if self.little != (sys.byteorder == "little"):
            self.words.byteswap()
