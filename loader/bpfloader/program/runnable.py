"""Runnable, the base of programs: what needs a descriptor alone, such as test runs, streams and pins."""

from __future__ import annotations

import ctypes
import errno
import os
from typing import TYPE_CHECKING, NamedTuple

from ..errors import CallError, errno_text
from ..kernel.privileges import privilege_error, section_capabilities
from ..libbpf.library import library
from ..libbpf.pin import pin_to
from ..libbpf.structs import TestRunOptions, sized
from ..suggest import FixedAttributes
from ..text import text_of

if TYPE_CHECKING:
    from ..kernel.objects import ProgramInfo
    from ..owner import Owner

STREAMS = {"stdout": 1, "stderr": 2}  # BPF_STREAM_STDOUT, BPF_STREAM_STDERR of linux/bpf.h
ROOM_TO_GROW = 4096  # bytes that a run may add to a packet
BPF_F_TEST_RUN_ON_CPU = 1 << 0  # linux/bpf.h


class RunResult(NamedTuple):
    """The result of a test run: return value, output packet, output context, duration of one repetition in ns."""

    value: int
    data: bytes
    context: bytes
    nanoseconds: int


class Runnable(FixedAttributes):
    """A program by its descriptor, of an object or not."""

    name: str = ""
    # The ELF section, with the kind and the target of the program: `tp_btf/inet_sock_set_state`.
    section: str = ""
    _owner: Owner

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"

    @property
    def fd(self) -> int:
        """The file descriptor, which it or its object owns. Raises StateError before load, and once it is closed."""
        return self._require_fd()

    def _require_fd(self) -> int:
        """Returns the descriptor. Raises StateError where there is none."""
        raise NotImplementedError

    @property
    def info(self) -> ProgramInfo:
        """The kernel's description of the program. Raises StateError before load."""
        from ..kernel.objects import program_info

        with self._owner.lock:
            return program_info(self._require_fd())

    def pin(self, path: str | os.PathLike[str]) -> None:
        """Keeps the loaded program at a path of a BPF file system, even beyond this process. Raises AttachError."""
        with self._owner.lock:
            pin_to(self.fd, path, f"the program {self.name}")

    def read_stream(self, stream: str = "stdout", room: int = 1 << 16) -> str:
        """Returns what the program has written to its "stdout" (bpf_stream_printk), or the kernel to its "stderr".

        At most `room` bytes; "" where nothing is there. What is read is gone. Needs Linux 6.17 and libbpf 1.6. Raises
        CallError, StateError, LibraryError, ValueError.
        """
        if stream not in STREAMS:
            raise ValueError(f'there is no stream {stream!r}: give "stdout" or "stderr"')
        buffer = ctypes.create_string_buffer(room)
        with self._owner.lock:
            fd = self._require_fd()
            try:
                length = library().bpf_prog_stream_read(fd, STREAMS[stream], buffer, room, None)
            except CallError as error:
                what = f"can't read {stream} of {self.name} ({errno_text(error.errno)})"
                raise CallError(what, fix="use Linux 6.17 or newer, which has streams", errno=error.errno) from None
        return text_of(buffer.raw[:length])

    def test_run(
        self,
        data: bytes = b"",
        context: bytes = b"",
        repeat: int = 0,
        room: int | None = None,
        cpu: int | None = None,
    ) -> RunResult:
        """Runs the program on a packet and a context, without an event (BPF_PROG_TEST_RUN).

        `room` is the size of its output in bytes at most, by default the packet's and 4096; on `cpu` a raw tracepoint's
        program runs. Raises CallError where the kernel can't run that kind of program, the output is larger (ENOSPC),
        or a signal ends the repeats (EINTR); PrivilegeError.
        """
        room = len(data) + ROOM_TO_GROW if room is None else room
        out, context_out = ctypes.create_string_buffer(room), ctypes.create_string_buffer(max(1, len(context)))
        run = sized(TestRunOptions, repeat=repeat)
        if cpu is not None:
            run.flags, run.cpu = BPF_F_TEST_RUN_ON_CPU, cpu
        if data:
            run.data_in, run.data_size_in = data, len(data)
            run.data_out, run.data_size_out = ctypes.addressof(out), room
        if context:
            run.ctx_in, run.ctx_size_in = context, len(context)
            if self._returns_context:
                run.ctx_out, run.ctx_size_out = ctypes.addressof(context_out), len(context)
        self._run(run)
        size, context_size = run.data_size_out if data else 0, run.ctx_size_out if context else 0
        return RunResult(run.retval, out.raw[:size], context_out.raw[:context_size], run.duration)

    _returns_context = True  # a test run of this kind writes the context back

    def _run(self, run: TestRunOptions) -> None:
        # A descriptor of its own: a run may take long, and another thread may destroy the object meanwhile.
        with self._owner.lock:
            fd = os.dup(self.fd)
        try:
            library().bpf_prog_test_run_opts(fd, ctypes.byref(run))
        except CallError as error:
            if error.errno == errno.EINTR:
                what = f"a signal interrupted the runs of {self.name} ({errno_text(error.errno)})"
                raise CallError(what, fix="run it again, with fewer repeats", errno=error.errno) from None
            if error.errno == errno.ENOSPC:  # the kernel has run it, and says how much there is
                what = f"the packet that {self.name} leaves has {run.data_size_out} bytes, more than there is room for"
                fix = f"run it with room={run.data_size_out}"
                raise CallError(what, fix=fix, errno=error.errno) from None
            what = f"the kernel doesn't run {self.name} without an event ({errno_text(error.errno)})"
            fix = "give the data or the context that its kind takes; not every kind can be run so"
            denied = privilege_error(f"run {self.name}", error.errno, section_capabilities([self.section]))
            raise denied or CallError(what, fix=fix, errno=error.errno) from None
        finally:
            os.close(fd)
