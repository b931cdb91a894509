"""Writes a BTF and where its types and names stand as one file, from which it opens in milliseconds.

The file is derived: it is believed only by a digest that this project recorded when it wrote it, and what it holds
isn't checked again.
"""

import struct
import sys
from array import array

from ..errors import BtfError
from .reader import Btf, split_sections

INDEX_MAGIC = b"BTFINDX1"
HEAD = "<8sIIII"  # the magic; the number of types and of names; the bytes of the BTF, and of a pointer


def dump_index(btf: Btf, data: bytes) -> bytes:
    """Returns the file for a BTF that was parsed from `data`."""
    parts = [btf.starts, btf.by_name]
    if sys.byteorder == "big":
        parts = [array("I", part) for part in parts]
        for part in parts:
            part.byteswap()
    head = struct.pack(HEAD, INDEX_MAGIC, len(btf.starts), len(btf.by_name), len(data), btf.pointer)
    return b"".join([head, *(part.tobytes() for part in parts), data])


def load_index(data: bytes, where: str = "", base: Btf | None = None) -> Btf:
    """Returns the BTF of such a file; `base` is that with which it was parsed. Raises BtfError for another file."""
    start = struct.calcsize(HEAD)
    if len(data) < start or data[: len(INDEX_MAGIC)] != INDEX_MAGIC:
        raise BtfError("is no index of BTF", where=where)
    _magic, types, names, size, pointer = struct.unpack_from(HEAD, data)
    if len(data) != start + 4 * (types + names) + size or not types:
        raise BtfError(f"is an index of BTF that is cut short at byte {len(data)}", where=where)
    starts, by_name = array("I"), array("I")
    view = memoryview(data)  # a slice of it copies nothing
    starts.frombytes(view[start : start + 4 * types])
    by_name.frombytes(view[start + 4 * types : start + 4 * (types + names)])
    if sys.byteorder == "big":
        starts.byteswap()
        by_name.byteswap()
    btf = Btf(split_sections(view[-size:], where, bool(base)), pointer, where, base)
    btf.starts, btf.by_name = starts, by_name
    return btf
