"""Writes BTF sections in memory, for what no compiler emits."""

import itertools
import struct


def assemble(types, strings=("",), order="<"):
    """A BTF section from (index of its name in `strings`, info, word, *the words below) per type."""
    starts = [0, *itertools.accumulate(len(text) + 1 for text in strings)]
    rows = [struct.pack(f"{order}{len(row)}I", starts[row[0]], *row[1:]) for row in types]
    body, text = b"".join(rows), b"".join(s.encode() + b"\0" for s in strings)
    return struct.pack(order + "HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(body), len(body), len(text)) + body + text


def info(kind, count=0, flag=0):
    return flag << 31 | kind << 24 | count
