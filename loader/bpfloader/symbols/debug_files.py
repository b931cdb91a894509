"""Finds what was stripped from a binary: a separate debug file, or the compressed table within (mini-debuginfo).

A file that is found is used only if it is of that very build: it has the same build id, or the CRC that the binary
names. The places are those of gdb ("Separate Debug Files" of its manual); MiniDebugInfo is described there as well.
"""

from __future__ import annotations

import io
import os
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from typing import BinaryIO

from .binary import Binary, DebugLink

DEBUG_FOLDER = "/usr/lib/debug"
MAX_COMPRESSED, MAX_MINI = 16 << 20, 64 << 20  # bytes of .gnu_debugdata, and of what is in it; Fedora's: at most 5 MB
MAX_MEMORY = 128 << 20  # bytes that the decompressor may take for its dictionary
MAX_CHECKED = 256 << 20  # bytes of a file whose CRC is computed
CHUNK = 1 << 20

# Opens a path for reading, as the process sees it or as we do. Raises OSError, ValueError.
Opener = Callable[[str], BinaryIO]


def mini_debug_info(binary: Binary) -> Binary | None:
    """Returns the small ELF file in .gnu_debugdata; None without one, or for a broken or too large one."""
    data = binary.section_named(".gnu_debugdata", MAX_COMPRESSED)
    if not data:
        return None
    import lzma

    try:
        unpacker = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MAX_MEMORY)
        whole = unpacker.decompress(data, MAX_MINI)
        return Binary(io.BytesIO(whole)) if unpacker.eof else None
    except (lzma.LZMAError, ValueError, MemoryError):
        return None


def debug_file(binary: Binary, folder: str, openers: tuple[Opener, ...], stack: ExitStack) -> Binary | None:
    """Returns the debug file of a binary in that folder, open until the stack ends; None if there is none that fits."""
    build_id, link = binary.build_id(), binary.debug_link()
    for opener in openers:
        for path in _places(build_id, link, folder):
            with suppress(OSError, ValueError):
                file = stack.enter_context(opener(path))
                found = Binary(file)
                if is_of_build(found, build_id, link) and found.has_whole_table():
                    return found
    return None


def is_of_build(found: Binary, build_id: bytes, link: DebugLink | None) -> bool:
    """Returns True if a debug file is of that build. Raises OSError."""
    if own := found.build_id():
        return own == build_id
    return not build_id and link is not None and _crc(found) == link.crc


def _places(build_id: bytes, link: DebugLink | None, folder: str) -> Iterator[str]:
    if build_id:
        text = build_id.hex()
        yield f"{DEBUG_FOLDER}/.build-id/{text[:2]}/{text[2:]}.debug"
    if link:
        yield from (os.path.join(place, link.name) for place in (folder, f"{folder}/.debug", f"{DEBUG_FOLDER}{folder}"))


def _crc(found: Binary) -> int | None:
    """Returns a whole file's CRC-32; None for one that is too large."""
    if found.size > MAX_CHECKED:
        return None
    crc = 0
    found.file.seek(0)
    while chunk := found.file.read(CHUNK):
        crc = zlib.crc32(chunk, crc)
    return crc
