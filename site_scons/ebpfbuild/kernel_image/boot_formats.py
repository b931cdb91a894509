"""Takes the kernel out of a boot image: bzImage, EFI zboot, zImage, a flat Image, or anything with a kernel inside.

Sources: the kernel's Documentation/arch/x86/boot.rst, drivers/firmware/efi/libstub/zboot-header.S, and
scripts/extract-vmlinux for the search.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from ..archive.unpack import FORMATS, Unpacked, format_at
from ..errors import ArchiveError

MAX_KERNEL_SIZE = 1 << 30  # bytes of an unpacked kernel: one with DWARF has some 400 MB
X86_SETUP, X86_MAGIC, X86_PAYLOAD = 0x1F1, 0x202, 0x248  # boot.rst: setup_sects, "HdrS", payload_offset and _length
ZBOOT_MAGIC = b"zimg"  # at byte 4, behind "MZ"; then the payload's offset and size
MAX_TRIES = 64  # places that look like the start of compressed data; more of them are no kernel
PROBE = 4096  # bytes that must come out of such a place before all of it is unpacked
BTF_HEADS = (b"\x9f\xeb\x01", b"\xeb\x9f\x01")  # the magic in either byte order, and version 1


class Payload(NamedTuple):
    """A part of an image that holds the kernel: where it starts, and its bytes, unpacked if it was compressed."""

    at: int
    data: bytes


def unpack_at(data: bytes, at: int) -> bytes | None:
    """Returns what is compressed at a place of an image; None if nothing is. Raises ArchiveError."""
    form = format_at(data, at)
    return Unpacked(data, form, at, MAX_KERNEL_SIZE).rest() if form else None


def payloads(data: bytes) -> Iterator[Payload]:
    """Yields what an image may hold its kernel in: the payload that its header names, else each that is found."""
    named = _named_payload(data)
    if named:
        at, size = named
        inner = unpack_at(data[at : at + size], 0)
        if inner is not None:
            yield Payload(at, inner)
            return
    for at in _compressed_places(data):
        try:
            inner = unpack_at(data, at)
        except ArchiveError:
            continue  # it only looked like one
        if inner:
            yield Payload(at, inner)


def _named_payload(data: bytes) -> tuple[int, int] | None:
    """Returns the first byte and the size that an image's own header gives its payload; None for one without."""
    if bytes(data[X86_MAGIC : X86_MAGIC + 4]) == b"HdrS" and len(data) >= X86_PAYLOAD + 8:
        offset, size = struct.unpack_from("<II", data, X86_PAYLOAD)
        return ((data[X86_SETUP] + 1) * 512 + offset, size) if offset else None
    if bytes(data[:2]) == b"MZ" and bytes(data[4:8]) == ZBOOT_MAGIC and len(data) >= 16:
        at, size = struct.unpack_from("<II", data, 8)
        return at, size
    return None


def _compressed_places(data: bytes) -> Iterator[int]:
    """Yields the places from which something can be unpacked, in order."""
    places = sorted(at for form in FORMATS for at in _each(data, form.magic))
    for at in places[:MAX_TRIES]:
        try:
            if at and Unpacked(data, format_at(data, at), at).read(PROBE):
                yield at
        except ArchiveError:
            continue


def btf_places(data: bytes) -> Iterator[int]:
    """Yields the places of a flat image at which a BTF header stands whose types and strings lie inside of it."""
    for at in sorted(at for head in BTF_HEADS for at in _each(data, head)):
        order = "<" if data[at] == 0x9F else ">"
        if at + 24 > len(data):
            continue
        start, type_at, type_size, string_at, string_size = struct.unpack_from(f"{order}4x5I", data, at)
        end = at + start + string_at + string_size
        if start < 24 or start > 256 or type_size % 4 or string_at < type_at + type_size or end > len(data):
            continue
        strings = at + start + string_at
        if type_size and string_size and data[strings] == data[end - 1] == 0:
            yield at


def _each(data: bytes, text: bytes) -> Iterator[int]:
    """Yields the places of a text, at most so many as are worth a try."""
    at, left = data.find(text), 16 * MAX_TRIES
    while at >= 0 and left:
        yield at
        at, left = data.find(text, at + 1), left - 1
