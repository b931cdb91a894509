"""Tries freplace: it needs a program to extend, and BTF of both (see trial.py)."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from ..kernel import bpf as rawbpf
from ..kernel.bpf import FuncInfo, ProgramAttr
from ..kernel.instructions import program_returning
from .trial import Trial

SOCKET_FILTER = 1  # BPF_PROG_TYPE_SOCKET_FILTER
FILTER_ID = 5  # the id of `f` in FILTER_BTF


@contextmanager
def extension(trial: Trial) -> Iterator[ProgramAttr]:
    """Loads a socket filter, attached nowhere, for the `with`; yields the attributes of a program that extends it."""
    function = (FuncInfo(0, FILTER_ID),)
    with ExitStack() as stack:
        btf = rawbpf.load_btf(FILTER_BTF)
        stack.callback(os.close, btf)
        extended = rawbpf.load_program(program_returning(0), ProgramAttr(SOCKET_FILTER, btf=btf, functions=function))
        stack.callback(os.close, extended)
        yield trial.program_attr(FILTER_ID, extended)._replace(btf=btf, functions=function)


def freplace(trial: Trial) -> None:
    """Replaces a socket filter."""
    with extension(trial) as what:
        program = rawbpf.load_program(program_returning(0), what)
        try:
            os.close(rawbpf.open_raw_tracepoint(program))
        finally:
            os.close(program)


def _filter_btf() -> bytes:
    """Encodes the BTF of `int f(struct __sk_buff *s)`, where f has the id FILTER_ID (Documentation/bpf/btf.rst)."""
    names = b"\0int\0__sk_buff\0s\0f\0"
    words = (
        1, 1 << 24, 4, 1 << 24 | 32,  # 1 INT int: signed, 32 bits
        5, 4 << 24, 4,  # 2 STRUCT __sk_buff
        0, 2 << 24, 2,  # 3 PTR to 2
        0, 13 << 24 | 1, 1, 15, 3,  # 4 FUNC_PROTO (s: 3) -> 1
        17, 12 << 24 | 1, 4,  # 5 FUNC f: global, of type 4
    )  # fmt: skip
    types = struct.pack(f"={len(words)}I", *words)
    return struct.pack("=HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(types), len(types), len(names)) + types + names


FILTER_BTF = _filter_btf()
