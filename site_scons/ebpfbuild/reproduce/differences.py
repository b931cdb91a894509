"""Says where two outputs differ: the section, symbol or type of BTF, the member of an archive, the line of a text."""

import gzip
import lzma
import zlib
from collections.abc import Iterator
from difflib import SequenceMatcher
from itertools import islice, zip_longest

from ..errors import BtfError, ElfError
from . import archives
from .object_differences import object_differences

MAX_LINES = 12  # lines for one output
MAX_ALIGNED = 2000  # unlike lines of a text that are aligned, by time that grows with their square


def differences(one: bytes, two: bytes, depth: int = 0) -> list[str]:
    """Returns lines that say where two unlike files differ, at most MAX_LINES."""
    found: list[str] = []
    for line in _lines(one, two, depth):
        if len(found) == MAX_LINES:
            return [*found, "… and more"]
        found.append(line)
    return found


def _lines(one: bytes, two: bytes, depth: int) -> Iterator[str]:
    if depth > 4:
        yield from _bytes(one, two)
        return
    for kind in (_object, _archive, _compressed, _text, _bytes):
        if found := kind(one, two, depth):
            yield from found
            return


def _object(one: bytes, two: bytes, depth: int) -> list[str]:
    if not one.startswith(b"\x7fELF") or not two.startswith(b"\x7fELF"):
        return []
    try:
        return object_differences(one, two)
    except (ElfError, BtfError):  # of another machine than BPF, say
        return []


def _archive(one: bytes, two: bytes, depth: int) -> list[str]:
    first, second = archives.members(one), archives.members(two)
    if first is None or second is None:
        return []
    lines = []
    if first.keys() == second.keys() and list(first) != list(second):
        lines.append(f"order of members: {', '.join(list(first)[:4])} … | {', '.join(list(second)[:4])} …")
    for name in sorted(first.keys() | second.keys()):
        if name not in first or name not in second:
            lines.append(f"member {name}: only in the {'first' if name in first else 'second'}")
            continue
        facts = zip(first[name].facts.items(), second[name].facts.values())
        lines += [f"member {name}: {fact} {a} | {b}" for (fact, a), b in facts if a != b]
        if first[name].data != second[name].data:
            inner = differences(first[name].data, second[name].data, depth + 1)
            lines += [f"member {name}: {line}" for line in inner]
    return lines or [f"the archive itself: {line}" for line in _bytes(one, two)]


def _compressed(one: bytes, two: bytes, depth: int) -> list[str]:
    for magic, expand in ((b"\x1f\x8b", gzip.decompress), (b"\xfd7zXZ", lzma.decompress)):
        if one.startswith(magic) and two.startswith(magic):
            try:
                first, second = expand(one), expand(two)
            except (OSError, EOFError, lzma.LZMAError, zlib.error):
                return []
            if first != second:
                return [f"unpacked: {line}" for line in differences(first, second, depth + 1)]
            if magic == b"\x1f\x8b" and one[4:8] != two[4:8]:
                times = (int.from_bytes(data[4:8], "little") for data in (one, two))
                return ["the time in gzip's header: " + " | ".join(map(str, times))]
    return []


def _text(one: bytes, two: bytes, depth: int = 0) -> list[str]:
    try:
        first, second = one.decode(), two.decode()
    except UnicodeDecodeError:
        return []
    if "\0" in first or "\0" in second:
        return []
    lines, others = first.splitlines(), second.splitlines()
    found = list(islice(_unlike_lines(lines, others), MAX_LINES // 2))
    if len(lines) != len(others):
        found.append(f"{len(lines)} lines | {len(others)} lines")
    return found


def _unlike_lines(lines: list[str], others: list[str]) -> Iterator[str]:
    """Says each place where two texts differ: an added line makes no others unlike."""
    start = next((at for at, pair in enumerate(zip(lines, others)) if pair[0] != pair[1]), min(len(lines), len(others)))
    ends = zip(reversed(lines[start:]), reversed(others[start:]))
    end = next((at for at, pair in enumerate(ends) if pair[0] != pair[1]), min(len(lines), len(others)) - start)
    middles = lines[start : len(lines) - end], others[start : len(others) - end]
    parts = [("replace", 0, len(middles[0]), 0, len(middles[1]))]
    if max(map(len, middles)) <= MAX_ALIGNED:
        parts = list(SequenceMatcher(None, *middles, autojunk=False).get_opcodes())
    for kind, first, first_end, second, second_end in parts:
        if kind == "equal":
            continue
        for one, two in zip_longest(range(first, first_end), range(second, second_end)):
            if one is None:
                yield f"line {start + two + 1}: only in the second: {_short(middles[1][two])}"
            elif two is None:
                yield f"line {start + one + 1}: only in the first: {_short(middles[0][one])}"
            elif middles[0][one] != middles[1][two]:
                yield f"line {start + one + 1}: {_short(middles[0][one])} | {_short(middles[1][two])}"


def _bytes(one: bytes, two: bytes, depth: int = 0) -> list[str]:
    at = next((index for index, pair in enumerate(zip(one, two)) if pair[0] != pair[1]), min(len(one), len(two)))
    size = f"{len(one)} bytes | {len(two)} bytes, " if len(one) != len(two) else ""
    return [f"{size}from byte {at} on: {one[at : at + 16].hex(' ')} | {two[at : at + 16].hex(' ')}"]


def _short(line: str) -> str:
    return repr(line if len(line) <= 100 else f"{line[:97]}…")
