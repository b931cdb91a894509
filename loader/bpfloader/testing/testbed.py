"""BpfTestbed: objects that live as long as a test, and runs of their programs with typed contexts and results."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

from ..codec.base import NATIVE
from ..codec.struct import Struct
from ..errors import BpfError, CallError
from ..link.base import Link
from ..object.bpf_object import Object
from ..program.base import Program
from ..program.syscall import SyscallProgram
from .contexts import SkAction, TcAction, XdpAction, XdpMd
from .namespaces import BPFFS, NoNamespace, private_namespaces
from .reasons import reason_of, run_reason_of, skip

O = TypeVar("O", bound=Object)
ROOM = 4096  # bytes by which a program may lengthen its packet
ARGUMENTS = 12  # of a raw tracepoint (MAX_BPF_FUNC_ARGS of linux/filter.h)
# A verdict's type, by the words before `/` in a program's section; any other program returns a number.
VERDICTS: dict[str, Callable[[int], int]] = {
    **dict.fromkeys(("xdp", "xdp.frags"), XdpAction),
    **dict.fromkeys(("tc", "classifier", "action", "tcx", "netkit"), TcAction),
    "sk_lookup": SkAction,
}


class ProgramRun(NamedTuple):
    """The result of a run: the program's value, the packet and the context as it left them, its time in ns.

    `value` is an XdpAction, a TcAction or an SkAction for programs that return such, else an int of 32 bits, signed.
    `context` is of the type that the run was given, and None where it was given none.
    """

    value: int
    packet: bytes
    context: Any
    nanoseconds: int


class BpfTestbed:
    """What the fixture `bpf_testbed` gives.

    Each method skips the test, with the kernel's reason, where this machine can't do what is asked. A program that the
    verifier refuses fails it.
    """

    def __init__(self) -> None:
        self._objects = contextlib.ExitStack()

    bpffs = BPFFS  # where this test's own BPF file system is mounted

    def open(self, kind: Callable[..., O] | type[O], **options: Any) -> O:
        """Opens an object, which is destroyed after the test: a skeleton's class, or a function that returns one.

        `options` go to the class's `open`, or to the function.
        """
        opener: Callable[..., O] = getattr(kind, "open", kind)
        with self._skipping():
            bpf = opener(**options)
        self._objects.callback(bpf.destroy)
        return bpf

    def load(self, kind: O | Callable[..., O] | type[O], *programs: str, **options: Any) -> O:
        """Loads an object that is open, or opens it first: all its programs, or those that are named."""
        bpf = kind if isinstance(kind, Object) else self.open(kind, **options)
        if programs:
            bpf.select(programs)
        with self._skipping(*(program.section for program in bpf.progs if program.autoload)):
            bpf.load()
        return bpf

    def attach(self, program: Program, *target: Any, **options: Any) -> Link:
        """Attaches a program as its own `attach` does; the network and /sys/fs/bpf are the test's own."""
        with self._skipping(program.section):
            return program.attach(*target, **options)

    def run(
        self,
        program: Program,
        packet: bytes = b"",
        context: Struct | bytes | Sequence[int] = b"",
        *,
        repeat: int = 1,
        cpu: int | None = None,
    ) -> ProgramRun:
        """Runs a program without an event (BPF_PROG_TEST_RUN), `repeat` times; `nanoseconds` is then their average.

        `packet` begins with its Ethernet header. `context` is an XdpMd, an SkBuff or a BpfSkLookup, a struct of the
        program's own for a syscall program, the arguments of a raw tracepoint, or bytes. On `cpu` a raw tracepoint's
        program runs. Raises CallError for a packet or a context that the kernel doesn't take.
        """
        given = _context_bytes(context, len(packet))
        try:
            if isinstance(program, SyscallProgram):
                result = program.run(given)
            else:
                # Some kinds refuse any number of repeats but 0, which stands for one run.
                result = program.test_run(packet, given, repeat if repeat > 1 else 0, len(packet) + ROOM, cpu)
        except CallError as error:
            if reason := run_reason_of(error, program.section):
                skip(reason)
            raise
        except BpfError as error:
            if reason := reason_of(error):
                skip(reason)
            raise
        left = type(context).from_bytes(result.context) if isinstance(context, Struct) else result.context or None
        (value,) = struct.unpack("i", struct.pack("I", result.value))
        verdict = VERDICTS.get(program.section.removeprefix("?").split("/")[0], int)
        return ProgramRun(verdict(value), result.data, left, result.nanoseconds)

    @contextlib.contextmanager
    def _skipping(self, *sections: str) -> Iterator[None]:
        """Skips the test where this machine can't do what the block asks for."""
        try:
            yield
        except BpfError as error:
            if reason := reason_of(error, sections):
                skip(reason)
            raise

    def close(self) -> None:
        """Destroys all objects."""
        self._objects.close()


def _context_bytes(context: Struct | bytes | Sequence[int], size: int) -> bytes:
    """Returns a context's bytes; an XdpMd's packet ends where the packet does, unless it says another end."""
    if isinstance(context, XdpMd) and not context.data_end:
        members = {**context.to_dict(), "data_end": size}
        return XdpMd(**members).to_bytes()
    if isinstance(context, Struct):
        return context.to_bytes()
    if isinstance(context, (bytes, bytearray, memoryview)):
        return bytes(context)
    arguments = [value & 0xFFFFFFFFFFFFFFFF for value in context]
    return struct.pack(f"{NATIVE}{ARGUMENTS}Q", *arguments, *[0] * (ARGUMENTS - len(arguments)))


@contextlib.contextmanager
def private_testbed() -> Iterator[BpfTestbed]:
    """Yields a testbed in namespaces of its own, for a fixture of one's own; skips the test where there are none."""
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(private_namespaces())
        except NoNamespace as error:
            skip(str(error))
        bed = BpfTestbed()
        stack.callback(bed.close)
        yield bed
