"""Indexes the declarations of a vmlinux.h: where each starts and ends, and which names it declares."""

import struct
import sys
from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate, pairwise
from operator import le
from typing import Any

from ..errors import HeaderError
from .scanner import Scanner, without_comments

INDEX_FORMAT = 4  # a caller keys stored indexes by the header's sha256 and by this number
_MAGIC = b"vmlinux.h index\n"
_HEAD = struct.Struct(f"<{len(_MAGIC)}sI9Q")  # the magic, INDEX_FORMAT, and how many bytes each table has


@dataclass(frozen=True, eq=False)
class Index:
    """The declarations of one header, by position and by name.

    `text` is the header with LF line ends and without comments; declaration `n` is `text[starts[n]:ends[n]]`, without
    its newline. `lines` are the numbers of the `#` lines, `forwards` of declarations such as `struct x;`. `tags` maps
    a struct, union or enum name to its definition, `ordinary` a typedef, function, variable or enumerator (C has them
    in one name space, C11 6.2.3). `memo` keeps what the closure has parsed, so that a set of programs parses a
    declaration once.
    """

    text: str
    starts: "array[int]"
    ends: "array[int]"
    lines: frozenset[int]
    forwards: frozenset[int]
    tags: dict[str, int]
    ordinary: dict[str, int]
    memo: dict[Any, Any] = field(default_factory=dict, repr=False)

    def declaration(self, number: int) -> str:
        """Returns the text of a declaration, as the header spells it."""
        return self.text[self.starts[number] : self.ends[number]]

    @cached_property
    def total(self) -> int:
        """The number of the header's declarations; `#` lines and forward declarations don't count."""
        return len(self.starts) - len(self.lines) - len(self.forwards)

    @cached_property
    def only_declared(self) -> dict[str, int]:
        """Maps each tag that the header declares and never defines to its first declaration."""
        found: dict[str, int] = {}
        for number in sorted(self.forwards):
            found.setdefault(self.text[self.starts[number] : self.ends[number] - 1].split()[-1], number)
        return {name: number for name, number in found.items() if name not in self.tags}


def index_header(text: str) -> Index:
    """Returns the index of a vmlinux.h, as bpftool writes it: every declaration starts in column 0 and ends in `;`.

    Raises HeaderError, with the line, for text that is none.
    """
    scanner = Scanner(without_comments(text))
    scanner.scan()
    return Index(
        scanner.text,
        scanner.starts,
        scanner.ends,
        frozenset(scanner.lines),
        frozenset(scanner.forwards),
        scanner.tags,
        scanner.ordinary,
    )


def dump_index(index: Index) -> bytes:
    """Writes the index, its header's text included, as bytes for `load_index`.

    A head holds the sizes of the tables, which follow. The same index gives the same bytes. They vouch for nothing:
    whoever keeps them keeps their sha256 elsewhere.
    """
    parts = [
        _packed(index.starts),
        _packed(index.ends),
        _packed(sorted(index.lines)),
        _packed(sorted(index.forwards)),
        "\n".join(index.tags).encode(),
        _packed(index.tags.values()),
        "\n".join(index.ordinary).encode(),
        _packed(index.ordinary.values()),
        index.text.encode(),
    ]
    return b"".join([_HEAD.pack(_MAGIC, INDEX_FORMAT, *map(len, parts)), *parts])


def load_index(data: bytes) -> Index:
    """Returns the index in `data`. Raises HeaderError for bytes that are none or have another INDEX_FORMAT.

    What any other bytes give is an index all the same: each position is in the text, each number one of a declaration.
    """
    try:
        return _loaded(data)
    except (ValueError, struct.error) as error:  # a UnicodeDecodeError is a ValueError
        raise HeaderError(f"no index of a vmlinux.h: {error}", fix="index the header again") from None


def _loaded(data: bytes) -> Index:
    magic, number, *sizes = _HEAD.unpack_from(data)
    if (magic, number, sum(sizes)) != (_MAGIC, INDEX_FORMAT, len(data) - _HEAD.size):
        raise ValueError("another format, or cut short")
    view, places = memoryview(data), [*accumulate(sizes, initial=_HEAD.size)]  # slices of a view copy nothing
    starts, ends, lines, forwards, tags, tag_numbers, ordinary, numbers, text = (
        view[start:end] for start, end in pairwise(places)
    )
    index = Index(
        str(text, "utf-8"),
        _unpacked(starts),
        _unpacked(ends),
        frozenset(_unpacked(lines)),
        frozenset(_unpacked(forwards)),
        _table(tags, tag_numbers),
        _table(ordinary, numbers),
    )
    _check(index)
    return index


def _check(index: Index) -> None:
    """Raises ValueError where a position lies outside of the text, or a number names no declaration."""
    count = len(index.starts)
    if len(index.ends) != count or not all(map(le, index.starts, index.ends)):
        raise ValueError("a declaration ends before it starts")
    if max(index.ends, default=0) > len(index.text):
        raise ValueError("a declaration ends behind the text")
    for numbers in (index.lines, index.forwards, index.tags.values(), index.ordinary.values()):
        if max(numbers, default=-1) >= count:
            raise ValueError("a name of no declaration")


def _packed(numbers: Iterable[int]) -> bytes:
    """Packs unsigned 32-bit numbers, little-endian on every machine."""
    packed = array("I", numbers)
    if sys.byteorder == "big":
        packed.byteswap()
    return packed.tobytes()


def _unpacked(data: memoryview) -> "array[int]":
    numbers = array("I")
    numbers.frombytes(data)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers


def _table(names: memoryview, numbers: memoryview) -> dict[str, int]:
    return dict(zip(str(names, "utf-8").split("\n"), _unpacked(numbers), strict=True)) if names else {}
