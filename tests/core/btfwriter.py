"""Writes BTF sections in memory, for what no compiler emits."""

import itertools
import struct


def assemble(types, strings=("",), order="<", at=0, layouts=None):
    """A BTF section from (index of its name in `strings`, info, word, *the words below) per type.

    Split BTF's own strings begin at `at`, where its base's end; None is no name. `layouts` are each kind's two sizes,
    for the table behind the header.
    """
    starts = [at, *(at + end for end in itertools.accumulate(len(text.encode()) + 1 for text in strings))]
    names = [0 if row[0] is None else starts[row[0]] for row in types]
    rows = [struct.pack(f"{order}{len(row)}I", name, *row[1:]) for name, row in zip(names, types)]
    body, text = b"".join(rows), b"".join(s.encode() + b"\0" for s in strings)
    if layouts is None:
        return struct.pack(order + "HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(body), len(body), len(text)) + body + text
    table = b"".join(struct.pack(order + "BBH", *sizes, 0) for sizes in layouts)
    places = (32, 0, len(body), len(body), len(text), len(body) + len(text), len(table))
    return struct.pack(order + "HBB7I", 0xEB9F, 1, 0, *places) + body + text + table


def info(kind, count=0, flag=0):
    return flag << 31 | kind << 24 | count
