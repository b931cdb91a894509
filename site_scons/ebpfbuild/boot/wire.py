"""Reads what a guest reports over its serial line. Its output is untrusted: lines are bounded, and checked one by one.

A line is `@boot NONCE CRC JSON`: the nonce keeps a program's own output apart, the CRC-32 of the JSON finds a line into
which the kernel wrote one of its messages.
"""

import json
import zlib
from collections.abc import Iterator
from typing import Any

MARK = "@boot"
MAX_LINE = 1 << 16  # bytes of a line
MAX_REPORTS = 50_000  # lines of a guest that are read


def start_of(nonce: str) -> bytes:
    """Returns the text with which each report of a guest begins."""
    return f"{MARK} {nonce} ".encode()


def reports(serial: bytes, nonce: str) -> Iterator[dict[str, Any]]:
    """Yields the reports in a guest's serial output, in its order; leaves out whatever is malformed."""
    start = start_of(nonce)
    count = 0
    for line in serial.split(b"\n"):
        at = line.find(start)  # the console may have put an escape sequence of the firmware's in front
        if at < 0 or len(line) > MAX_LINE:
            continue
        count += 1
        if count > MAX_REPORTS:
            return
        checksum, _, text = line[at + len(start) :].strip().partition(b" ")
        if checksum == b"%08x" % zlib.crc32(text):
            try:
                found = json.loads(text)
            except (ValueError, RecursionError):
                continue
            if isinstance(found, dict):
                yield found


def text_of(report: dict[str, Any], key: str, most: int = 4096) -> str:
    """Returns a text of a report, cut to a length; empty where it has none."""
    value = report.get(key)
    return value[:most] if isinstance(value, str) else ""


def number_of(report: dict[str, Any], key: str) -> int | None:
    """Returns a number of a report, from 0 to 2^63; None where it has none."""
    value = report.get(key)
    good = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 63
    return value if good else None
