"""Records that the tests of rings make up or send, and how they are checked."""

import os
import sys

import bpfloader
from probing import beside

PACKET = bytes(64)
c = bpfloader.little_endian if sys.byteorder == "little" else bpfloader.big_endian


@bpfloader.struct(12)
class Pair(bpfloader.Struct):
    """The record of the made-up rings."""

    first: int = c.u64 @ 0
    second: int = c.u32 @ 8


def check(records) -> None:
    """Holds each record's words against its number, from which they follow."""
    for record in records:
        base = record.number * 2654435761 & 0xFFFFFFFF
        assert record.words == tuple(base + word & 0xFFFFFFFF for word in range(6)), record


def on_cpu(cpu, run):
    """Runs in a thread of that CPU, for a program sends to the buffer of its own."""

    def go():
        os.sched_setaffinity(0, {cpu})
        run()

    with beside(go):
        pass
