"""What the programs of an object have in common, whatever their kind; the kinds derive from Program."""

from __future__ import annotations

import ctypes
import errno
import os
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from ..diagnose.refusal import attach_refused
from ..errors import AttachError, CallError, StateError, errno_text
from ..kernel.privileges import privilege_error, wanted_by
from ..libbpf.library import LIBRARY, library
from ..libbpf.log import captured
from ..libbpf.pin import pin_to
from ..libbpf.structs import TestRunOptions, sized
from ..link import BpfLink, Link
from ..signals import Undisturbed
from ..suggest import Closed

if TYPE_CHECKING:
    from ..owner import Owner

BPF_F_TEST_RUN_ON_CPU = 1 << 0  # linux/bpf.h


class RunResult(NamedTuple):
    """What a test run gave: the program's return value, its output packet and context, nanoseconds a repetition."""

    value: int
    data: bytes
    context: bytes
    nanoseconds: int


class Program(Closed):
    """One program of an object: chosen by `autoload` before load, attached after it.

    `autoattach` says whether the object's attach takes it. A kind that isn't among the classes attaches by its section.
    """

    name: str = ""
    # The ELF section, which says the kind of program and where it attaches: `tp_btf/inet_sock_set_state`.
    section: str = ""
    autoattach: bool = True
    _only_called = False  # user space or another part of the object calls it: it is never attached itself

    def __init__(self, owner: Owner, name: str):
        self.name, self._owner = name, owner
        self._found = library().bpf_object__find_program_by_name(owner.handle, name.encode())
        self.section = library().bpf_program__section_name(self._found).decode()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"

    @property
    def handle(self) -> int:
        """libbpf's struct bpf_program *. Raises StateError once the object is destroyed."""
        return cast(int, self._owner.handle and self._found)

    @property
    def autoload(self) -> bool:
        """Whether `load` loads it. Settable before load; a program with `?` before its section is off at first."""
        with self._owner.lock:
            return cast(bool, library().bpf_program__autoload(self.handle))

    @autoload.setter
    def autoload(self, wanted: bool) -> None:
        with self._owner.lock:
            self._owner.require_open(f"autoload of {self.name}")
            library().bpf_program__set_autoload(self.handle, wanted)

    @property
    def fd(self) -> int:
        """The file descriptor, owned by the object. Raises StateError before load, and for a program not loaded."""
        return self._require_fd()

    def _require_fd(self) -> int:
        """The descriptor. Raises StateError where there is none, as `fd` does."""
        with self._owner.lock:
            self._owner.require_loaded(f"the program {self.name}")
            if not self.autoload:
                raise StateError(f"the program {self.name} is not loaded", fix="set its autoload = True before load")
            return cast(int, library().bpf_program__fd(self.handle))

    @property
    def target(self) -> str:
        """What follows the kind in the section's name, such as `sys_enter` of `raw_tp/sys_enter`; may be empty."""
        return self.section.removeprefix("?").partition("/")[2]

    @property
    def _kind(self) -> str:
        """What precedes the target: `raw_tp`, `uprobe.s`."""
        return self.section.removeprefix("?").partition("/")[0]

    # Any: each kind has its own signature, which says what a kind can be attached to.
    def attach(self, *target: Any, **options: Any) -> Link:
        """A link to where the program's section says. Raises AttachError, PrivilegeError, StateError, LibraryError."""
        if target or options:
            raise TypeError(f"{self.name} is attached by its section {self.section}: attach takes no arguments")
        link = Program.attach_by_section(self)
        if link is None:
            what = f"can't attach {self.name}: its section {self.section} says not where to"
            raise AttachError(what, fix=f"no kind of program that {LIBRARY} attaches has that section")
        return link

    def attach_by_section(self) -> Link | None:
        """The link to where the section says, or None where it names no target: attach the program by hand then.

        Raises what `attach` does.
        """
        try:
            return self._link("attach")
        except AttachError as error:
            if error.errno == errno.EOPNOTSUPP and not error.details:  # libbpf has no way to attach that section
                return None
            raise

    def _required(self, target: str, what: str) -> str:
        """The target. Raises AttachError where it is empty: neither the section nor the caller names `what`."""
        if not target:
            raise AttachError(
                f"can't attach {self.name}: neither its section nor attach names {what}", fix=f"call attach with {what}"
            )
        return target

    def _link(self, verb: str, /, *target: object, **asked: object) -> Link:
        """The link that libbpf's bpf_program__<verb> makes; `asked` is what the caller asked for (see attach_target)."""
        with self._owner.lock, Undisturbed():
            handle = self._call(f"bpf_program__{verb}", self._loaded_handle(), *target, **asked)
            return BpfLink(self._owner, self.name, handle)

    def _loaded_handle(self) -> int:
        """libbpf's struct bpf_program * of a loaded program. Raises StateError where there is nothing to attach."""
        self._require_fd()
        return self.handle

    def _call(self, function: str, /, *arguments: object, **asked: object) -> Any:
        """What a function that attaches gives. Raises AttachError, PrivilegeError, LibraryError."""
        with captured() as messages:
            try:
                return getattr(library(), function)(*arguments)
            except CallError as error:
                raise attach_refused(self.name, error, messages, self.section, asked) from None

    def pin(self, path: str | os.PathLike[str]) -> None:
        """Keeps the loaded program at a path of a BPF file system, even beyond this process. Raises AttachError."""
        with self._owner.lock:
            pin_to(self.fd, path, f"the program {self.name}")

    def test_run(
        self, data: bytes = b"", context: bytes = b"", repeat: int = 0, room: int = 4096, cpu: int | None = None
    ) -> RunResult:
        """What the program gives for a packet and a context, run by the kernel without an event (BPF_PROG_TEST_RUN).

        `room` is how many bytes its output may have, `cpu` where a raw tracepoint's program runs. Raises CallError
        where the kernel can't run that kind of program, or a signal ends the repeats (EINTR); PrivilegeError.
        """
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
        sizes = run.data_size_out if data else 0, run.ctx_size_out if context else 0
        return RunResult(run.retval, out.raw[: sizes[0]], context_out.raw[: sizes[1]], run.duration)

    _returns_context = True  # a test run of its kind writes the context back

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
            what = f"the kernel doesn't run {self.name} without an event ({errno_text(error.errno)})"
            fix = "give the data or the context that its kind takes; not every kind can be run so"
            refused = CallError(what, fix=fix, errno=error.errno)
            raise privilege_error(f"run {self.name}", error.errno, wanted_by([self.section])) or refused from None
        finally:
            os.close(fd)
