"""Programs that user space calls."""

from __future__ import annotations

import ctypes

from ..errors import AttachError
from ..libbpf.structs import TestRunOptions, sized
from ..link.base import Link
from .base import Program
from .runnable import RunResult


class SyscallProgram(Program):
    """SEC("syscall"): runs when it is called, and may make bpf(2) calls itself."""

    _attachable = False

    def run(self, context: bytes = b"") -> RunResult:
        """Runs it on a context; the result has the context as the program left it. Raises CallError, PrivilegeError."""
        # bpf_prog_test_run_syscall (net/bpf/test_run.c) writes back to where the context came from.
        buffer = ctypes.create_string_buffer(context, len(context)) if context else None
        run = sized(TestRunOptions, ctx_size_in=len(context))
        if buffer is not None:
            run.ctx_in = ctypes.cast(buffer, ctypes.c_char_p)
        self._run(run)
        return RunResult(run.retval, b"", buffer.raw if buffer is not None else b"", run.duration)

    def attach(self) -> Link:
        """Raises AttachError: call `run` instead."""
        raise AttachError(f"can't attach {self.name}: it is run when called", fix="call run(context)")
