"""Programs of an object, and the links that attach them."""

from __future__ import annotations

import ctypes
import os
import socket
from typing import TYPE_CHECKING, NamedTuple, cast

from .errors import CallError, StateError
from .libbpf import library
from .log import captured
from .refusal import attach_refused, privilege_error
from .structures import LinkInfo, TestRunOptions, sized

if TYPE_CHECKING:
    from .object import Object


class Link:
    """A program's attachment. It lasts until `detach`, or until the object that owns it is destroyed."""

    def __init__(self, handle: int, program: str):
        self.program, self._handle = program, handle

    def __repr__(self) -> str:
        return f"<Link {self.program}{'' if self._handle else ' (detached)'}>"

    @property
    def id(self) -> int:
        """The kernel's number of the link (`bpftool link`); 0 for one that it doesn't number (old perf events)."""
        info, size = LinkInfo(), ctypes.c_uint(ctypes.sizeof(LinkInfo))
        try:
            fd = library().bpf_link__fd(self._require())
            library().bpf_obj_get_info_by_fd(fd, ctypes.byref(info), ctypes.byref(size))
        except CallError:
            return 0
        return cast(int, info.id)

    @property
    def attached(self) -> bool:
        """Whether it still attaches the program."""
        return bool(self._handle)

    def _require(self) -> int:
        if not self._handle:
            raise StateError(f"the link of {self.program} is detached", fix="attach the program again")
        return self._handle

    def detach(self) -> None:
        """Detaches the program; does nothing the second time."""
        handle, self._handle = self._handle, 0
        if handle:
            library().bpf_link__destroy(handle)


class RunResult(NamedTuple):
    """What a test run gave: the program's return value, its output packet and context, nanoseconds a repetition."""

    value: int
    data: bytes
    context: bytes
    nanoseconds: int


class Program:
    """One program of an object: chosen by `autoload` before load, attached after it."""

    def __init__(self, owner: Object, name: str):
        self.name, self._owner = name, owner
        self._found = library().bpf_object__find_program_by_name(owner.handle, name.encode())
        self.autoattach = True

    def __repr__(self) -> str:
        return f"<Program {self.name}>"

    @property
    def handle(self) -> int:
        """libbpf's struct bpf_program *. Raises StateError once the object is destroyed."""
        return cast(int, self._owner.handle and self._found)

    @property
    def section(self) -> str:
        """The ELF section, which says the kind of program and where it attaches: `tp_btf/inet_sock_set_state`."""
        return cast(bytes, library().bpf_program__section_name(self.handle)).decode()

    @property
    def autoload(self) -> bool:
        """Whether `load` loads it. Settable before load; a program with `?` before its section is off at first."""
        return cast(bool, library().bpf_program__autoload(self.handle))

    @autoload.setter
    def autoload(self, wanted: bool) -> None:
        self._owner.require_open(f"autoload of {self.name}")
        library().bpf_program__set_autoload(self.handle, wanted)

    @property
    def fd(self) -> int:
        """The file descriptor, owned by the object. Raises StateError before load, and for a program not loaded."""
        self._owner.require_loaded(f"the program {self.name}")
        if not self.autoload:
            raise StateError(f"the program {self.name} is not loaded", fix="set its autoload = True before load")
        return cast(int, library().bpf_program__fd(self.handle))

    def attach(self) -> Link:
        """A link to where the program's section says. Raises AttachError, PrivilegeError, StateError."""
        return self._link("attach")

    def attach_cgroup(self, cgroup: str | os.PathLike[str]) -> Link:
        """A link to a cgroup v2 folder, for cgroup/…, sockops and the like. Raises what `attach` does, OSError."""
        fd = os.open(cgroup, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            return self._link("attach_cgroup", fd)
        finally:
            os.close(fd)

    def attach_netns(self, path: str | os.PathLike[str] = "/proc/self/ns/net") -> Link:
        """A link to a network namespace, for sk_lookup and flow_dissector. Raises what `attach` does, OSError."""
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return self._link("attach_netns", fd)
        finally:
            os.close(fd)

    def attach_xdp(self, interface: str | int) -> Link:
        """A link to a network interface, by name or index. Raises what `attach` does, OSError for an unknown name."""
        return self._link("attach_xdp", interface if isinstance(interface, int) else socket.if_nametoindex(interface))

    def attach_raw_tracepoint(self, name: str) -> Link:
        """A link to a raw tracepoint such as `sys_enter`. Raises what `attach` does."""
        return self._link("attach_raw_tracepoint", name.encode())

    def attach_tracepoint(self, category: str, name: str) -> Link:
        """A link to a tracepoint such as `syscalls`, `sys_enter_openat`; needs tracefs. Raises what `attach` does."""
        return self._link("attach_tracepoint", category.encode(), name.encode())

    def attach_kprobe(self, function: str, at_return: bool = False) -> Link:
        """A link to a kernel function's entry or return. Raises what `attach` does."""
        return self._link("attach_kprobe", at_return, function.encode())

    def _link(self, verb: str, *target: object) -> Link:
        self.fd  # noqa: B018  raises StateError where there is nothing to attach
        with captured() as messages:
            try:
                handle = getattr(library(), f"bpf_program__{verb}")(self.handle, *target)
            except CallError as error:
                raise attach_refused(self.name, error, messages) from None
        link = Link(handle, self.name)
        self._owner.links.append(link)
        return link

    def test_run(self, data: bytes = b"", context: bytes = b"", repeat: int = 0, room: int = 4096) -> RunResult:
        """What the program gives for a packet and a context, run by the kernel without an event (BPF_PROG_TEST_RUN).

        `room` is how many bytes its output may have. Raises CallError where the kernel can't run that kind of program.
        """
        out, context_out = ctypes.create_string_buffer(room), ctypes.create_string_buffer(max(1, len(context)))
        run = sized(TestRunOptions, repeat=repeat)
        if data:
            run.data_in, run.data_size_in = data, len(data)
            run.data_out, run.data_size_out = ctypes.addressof(out), room
        if context:
            run.ctx_in, run.ctx_size_in = context, len(context)
            run.ctx_out, run.ctx_size_out = ctypes.addressof(context_out), len(context)
        try:
            library().bpf_prog_test_run_opts(self.fd, ctypes.byref(run))
        except CallError as error:
            raise privilege_error(f"run {self.name}", error.errno) or error from None
        sizes = run.data_size_out if data else 0, run.ctx_size_out if context else 0
        return RunResult(run.retval, out.raw[: sizes[0]], context_out.raw[: sizes[1]], run.duration)
