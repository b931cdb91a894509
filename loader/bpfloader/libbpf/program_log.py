"""The memory to which the kernel writes the verifier's log of a program that libbpf loads."""

from __future__ import annotations

import ctypes
import mmap

from .library import library

LOG_SIZE = 16 << 20  # bytes, as veristat's; kernels since 6.4 keep the end of a longer log, older ones refuse the load


class ProgramLog:
    """A buffer of LOG_SIZE bytes for one program's log, of which only what is written takes memory."""

    def __init__(self, program: int, level: int):
        """Has libbpf ask for the log of a struct bpf_program * that is loaded later. Raises CallError."""
        self._memory = mmap.mmap(-1, LOG_SIZE)
        self._buffer = (ctypes.c_char * LOG_SIZE).from_buffer(self._memory)
        library().bpf_program__set_log_level(program, level)
        library().bpf_program__set_log_buf(program, ctypes.addressof(self._buffer), LOG_SIZE)

    def text(self) -> str:
        """Returns what the kernel has written."""
        return self._buffer.value.decode("utf-8", "replace")
