"""Reads the records in a perf buffer's data (linux/perf_event.h, PERF_RECORD_*).

Each has a struct perf_event_header (type, misc, size). In a PERF_RECORD_SAMPLE of PERF_SAMPLE_RAW a u32 size and the
data follow, padded so that the whole is a multiple of 8; the header's size includes the padding. A PERF_RECORD_LOST has
an id and the number of records lost; the kernel writes it once there is room again.
"""

from __future__ import annotations

import struct as structs
from typing import Any, NamedTuple

from ..codec.records import RecordDecoder, RecordError
from ..errors import LayoutError, MapError

PERF_RECORD_LOST, PERF_RECORD_SAMPLE = 2, 9
EVENT_HEADER = structs.Struct("=IHH")  # struct perf_event_header
U32, U64 = structs.Struct("=I"), structs.Struct("=Q")
SAMPLE_HEADER_SIZE = EVENT_HEADER.size + 4  # a sample's header and its u32 size
MAX_SAMPLE = 0xFFFF // 8 * 8 - SAMPLE_HEADER_SIZE  # the most bytes of a sample: the header's size is a u16
MAX_SAMPLE_RUN = 256  # the most samples decoded as one run, all of the type's size


def sample_stride(length: int) -> int:
    """Returns the distance in bytes from a sample of that length to the next record."""
    return EVENT_HEADER.size + (4 + length + 7) // 8 * 8


class Samples(NamedTuple):
    """Samples read from a buffer: the values, the bytes `used` by these and other records, how many were lost."""

    values: list[Any]
    used: int
    number: int
    lost: int


def samples(decoder: RecordDecoder, data: bytes, limit: int) -> Samples:
    """Reads the first samples, at most `limit`, from a buffer's data in one piece.

    Raises RecordError for a first sample that doesn't fit its type, MapError for data that is no buffer's.
    """
    view, values = memoryview(data), list[Any]()
    used = number = lost = 0
    while used < len(data) and number < limit:
        run = _uniform(decoder, data, used, min(limit - number, MAX_SAMPLE_RUN)) if decoder.fixed else 0
        if run:
            values += decoder.decode_run(view[used : used + run * decoder.stride])
            used, number = used + run * decoder.stride, number + run
            continue
        kind, _, size = EVENT_HEADER.unpack_from(data, used) if len(data) - used >= EVENT_HEADER.size else (0, 0, 0)
        if size < EVENT_HEADER.size or used + size > len(data):
            raise MapError(f"a perf record of {size} bytes in {len(data) - used}", fix="let only one process read it")
        if kind == PERF_RECORD_SAMPLE:
            try:
                _require_whole(data, used, size)
                values += decoder.decode_one(_trimmed(decoder, view[used + SAMPLE_HEADER_SIZE : used + size]))
                if size > decoder.stride:
                    decoder.note_longer(size - SAMPLE_HEADER_SIZE)
            except LayoutError as error:
                if values or lost:
                    break
                raise RecordError(error.what, size, error.fix) from None
            number += 1
        elif kind == PERF_RECORD_LOST and size >= EVENT_HEADER.size + 2 * U64.size:
            lost += U64.unpack_from(data, used + EVENT_HEADER.size + U64.size)[0]
        used += size
    return Samples(values, used, number, lost)


def _require_whole(data: bytes, start: int, size: int) -> None:
    """Raises LayoutError for a sample that the kernel has cut: its header tells no more than 65,535 bytes.

    The kernel makes room for the size modulo 65,536 (perf_prepare_header in kernel/events/core.c); where that is 0,
    nothing is left to be told.
    """
    if size < SAMPLE_HEADER_SIZE or U32.unpack_from(data, start + EVENT_HEADER.size)[0] > size - SAMPLE_HEADER_SIZE:
        what = f"more than {MAX_SAMPLE} bytes, which the kernel has cut"
        raise LayoutError(what, fix=f"send at most {MAX_SAMPLE} bytes, packet included")


def _uniform(decoder: RecordDecoder, data: bytes, start: int, most: int) -> int:
    """Counts the samples from `start` on that have the type's size, up to `most`."""
    head = data[start : start + SAMPLE_HEADER_SIZE]
    if len(head) < SAMPLE_HEADER_SIZE or EVENT_HEADER.unpack_from(head)[::2] != (PERF_RECORD_SAMPLE, decoder.stride):
        return 0
    if U32.unpack_from(head, EVENT_HEADER.size)[0] > decoder.stride - SAMPLE_HEADER_SIZE:
        return 0  # cut
    count = 1
    while count < most and data.startswith(head, start + count * decoder.stride):
        count += 1
    return count if start + count * decoder.stride <= len(data) else count - 1


def _trimmed(decoder: RecordDecoder, data: memoryview) -> memoryview:
    """Cuts off the kernel's padding, if the type has a fixed size."""
    return data[: decoder.size] if decoder.fixed else data
