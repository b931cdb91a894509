"""Programs at functions, system calls and tracepoints of the kernel."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..errors import AttachError, CallError, LoadError, errno_text
from ..libbpf.c_text import c_text
from ..libbpf.library import library, require
from ..libbpf.structs import (
    CookieOptions,
    KprobeMultiOptions,
    KprobeOptions,
    KsyscallOptions,
    TracingMultiOptions,
    sized,
)
from ..link.base import Link
from .base import Program, require_lsm

if TYPE_CHECKING:
    from ..link.place import Place


def require_one_each(cookies: Sequence[int], count: int, what: str) -> None:
    """Raises ValueError unless there are no cookies or as many as `what`: libbpf reads past the end of fewer."""
    if cookies and len(cookies) != count:
        raise ValueError(f"{len(cookies)} cookies for {count} {what}: give one for each")


def c_array(kind: Any, values: Sequence[Any]) -> Any:
    """Returns a C array of the values, None (a NULL pointer) for none."""
    return (kind * len(values))(*values) if values else None


def c_strings(values: Sequence[str]) -> Any:
    """Returns a C array of strings, None for none."""
    return c_array(ctypes.c_char_p, [c_text(value) for value in values])


def split_offset(target: str) -> tuple[str, int]:
    """Splits a section's `function+offset` at a number at its end: `operator+` of C++ is a whole name."""
    found = re.fullmatch(r"(.*)\+(?:(0[xX][0-9a-fA-F]+)|(0[0-7]*)|([1-9][0-9]*))", target, re.DOTALL)
    if not found:
        return target, 0
    name, *numbers = found.groups()
    return name, next(int(each, base) for each, base in zip(numbers, (16, 8, 10)) if each)


class KprobeProgram(Program):
    """SEC("kprobe/function+offset") or SEC("kretprobe/function"): at a kernel function's entry, inside it or at its
    return."""

    def attach(self, function: str = "", *, offset: int = 0, at_return: bool | None = None, cookie: int = 0) -> Link:
        """Attaches to a kernel function, that of the section if none is given.

        `offset` is bytes into it; `at_return` makes it run as the function returns (by default: as the section says);
        `cookie` is what bpf_get_attach_cookie returns. Raises AttachError, PrivilegeError, StateError.
        """
        if not function:
            function, inside = split_offset(self.target)
            offset = offset or inside
        retprobe = self._kind == "kretprobe" if at_return is None else at_return
        options = sized(KprobeOptions, bpf_cookie=cookie, offset=offset, retprobe=retprobe)
        wanted = c_text(self._require_target(function, "a function"))
        return self._link("attach_kprobe_opts", wanted, options, function=function)

    def _place(
        self, function: str = "", *, offset: int = 0, at_return: bool | None = None, cookie: int = 0
    ) -> Place | None:
        from ..kernel.link_type import LinkType
        from ..link.place import KPROBE, KRETPROBE

        retprobe = self._kind == "kretprobe" if at_return is None else at_return
        if not function:
            function, inside = split_offset(self.target)
            offset = offset or inside
        return None if cookie else (LinkType.PERF_EVENT, KRETPROBE if retprobe else KPROBE, function, offset)


class KprobeMultiProgram(Program):
    """SEC("kprobe.multi/pattern"), SEC("kretprobe.multi/pattern") or SEC("kprobe.session/pattern"): at many functions
    at once."""

    def attach(
        self,
        pattern: str = "",
        *,
        functions: Sequence[str] = (),
        addresses: Sequence[int] = (),
        cookies: Sequence[int] = (),
        at_return: bool | None = None,
    ) -> Link:
        """Attaches to the kernel functions that match a pattern with `*` and `?`, or to those listed.

        Without any of them the section's pattern counts. `cookies` go with `functions` or `addresses`, one for each.
        Raises AttachError, PrivilegeError, StateError, ValueError.
        """
        listed = functions or addresses
        require_one_each(cookies, len(listed), "functions")
        session = self._kind == "kprobe.session"
        if session:
            require("1.5", "kprobe.session")
        options = sized(
            KprobeMultiOptions,
            syms=c_strings(functions),
            addrs=c_array(ctypes.c_ulong, addresses),
            cookies=c_array(ctypes.c_uint64, cookies),
            cnt=len(listed),
            retprobe=self._kind == "kretprobe.multi" if at_return is None else at_return,
            session=session,
        )
        if not listed:
            pattern = self._require_target(pattern or self.target, "a pattern")
        request = {"function": pattern, "functions": functions}
        return self._link("attach_kprobe_multi_opts", c_text(pattern) or None, options, **request)


class KsyscallProgram(Program):
    """SEC("ksyscall/name") or SEC("kretsyscall/name"): at a system call, by its name on every machine."""

    def attach(self, syscall: str = "", *, at_return: bool | None = None, cookie: int = 0) -> Link:
        """Attaches to a system call such as `openat`, that of the section if none is given.

        Raises AttachError, PrivilegeError, StateError.
        """
        retprobe = self._kind == "kretsyscall" if at_return is None else at_return
        options = sized(KsyscallOptions, bpf_cookie=cookie, retprobe=retprobe)
        call = self._require_target(syscall or self.target, "a system call")
        return self._link("attach_ksyscall", c_text(call), options, syscall=call)


class TracepointProgram(Program):
    """SEC("tp/category/name"): at a tracepoint of tracefs."""

    def attach(self, category: str = "", name: str = "", *, cookie: int = 0) -> Link:
        """Attaches to a tracepoint such as `syscalls`, `sys_enter_openat`, that of the section if none is given.

        Needs tracefs. Raises AttachError, PrivilegeError, StateError.
        """
        if not name:
            category, _, name = (category or self.target).partition("/")
        self._require_target(name, "a category and a name")
        options = sized(CookieOptions, cookie=cookie)
        return self._link(
            "attach_tracepoint_opts", c_text(category), c_text(name), options, category=category, name=name
        )

    def _place(self, category: str = "", name: str = "", *, cookie: int = 0) -> Place | None:
        from ..kernel.link_type import LinkType
        from ..link.place import TRACEPOINT

        name = name or (category or self.target).partition("/")[2]
        return None if cookie else (LinkType.PERF_EVENT, TRACEPOINT, name, 0)


class RawTracepointProgram(Program):
    """SEC("raw_tp/name"), SEC("raw_tp.w/name"): at a tracepoint, with the kernel's own arguments."""

    _returns_context = False  # bpf_prog_test_run_raw_tp (net/bpf/test_run.c) refuses room for it

    def attach(self, name: str = "", *, cookie: int = 0) -> Link:
        """Attaches to a raw tracepoint such as `sys_enter`, that of the section if none is given.

        Raises AttachError, PrivilegeError, StateError; LibraryError for a cookie with a libbpf older than 1.4.
        """
        name = self._require_target(name or self.target, "a tracepoint")
        if cookie:
            options = sized(CookieOptions, cookie=cookie)
            return self._link("attach_raw_tracepoint_opts", c_text(name), options, name=name, cookie=cookie)
        return self._link("attach_raw_tracepoint", c_text(name), name=name)

    def _place(self, name: str = "", *, cookie: int = 0) -> Place | None:
        from ..kernel.link_type import LinkType

        return None if cookie else (LinkType.RAW_TRACEPOINT, name or self.target)


class TargetedProgram(Program):
    """A program whose target the kernel checks as it loads it."""

    _names_target = True

    def set_attach_target(self, function: str, program: Program | None = None) -> None:
        """Sets, before load, the target: a kernel function, or a function of a loaded `program`.

        Raises StateError after load, LoadError where there is no such function.
        """
        with self._owner.lock:
            self._owner.require_open(f"the target of {self.name}")
            try:
                fd = program.fd if program else 0
                library().bpf_program__set_attach_target(self.handle, fd, c_text(function))
            except CallError as error:
                what = f"can't make {function} the target of {self.name} ({errno_text(error.errno)})"
                fix = "name a function that the kernel's BTF has, or one of a loaded program"
                raise LoadError(what, fix=fix, errno=error.errno) from None


class TracingProgram(TargetedProgram):
    """SEC("tp_btf/name"), SEC("fentry/function"), fexit, fmod_ret, fsession and lsm: typed by the kernel's BTF."""

    def attach(self, *, cookie: int = 0) -> Link:
        """Attaches to the target of the section or of `set_attach_target`.

        Raises AttachError, PrivilegeError, StateError; LibraryError for the cookie of a tp_btf program with libbpf
        older than 1.4; ValueError for that of an LSM program, which takes none.
        """
        if self._kind.startswith("lsm"):
            if cookie:
                raise ValueError(f"{self.name} is an LSM program, which takes no cookie")
            require_lsm(self.name)
            return self._link("attach_lsm")
        if cookie and self._kind.startswith("tp_btf"):
            require("1.4", "cookies of tp_btf programs")
        return self._link("attach_trace_opts", sized(CookieOptions, cookie=cookie))

    def _place(self, *, cookie: int = 0) -> Place | None:
        from ..link.place import IN_THE_PROGRAM

        return None if cookie else IN_THE_PROGRAM


class TracingMultiProgram(Program):
    """SEC("fentry.multi/pattern"), fexit.multi, fsession.multi: at many functions of the kernel at once."""

    def attach(self, pattern: str = "", *, functions: Sequence[str] = (), cookies: Sequence[int] = ()) -> Link:
        """Attaches to the kernel functions that match a pattern with `*` and `?`, or to those listed.

        Without either, the section's pattern counts; `module:pattern` is for a module's functions, where the section
        names the module as well. `cookies` go with `functions`, one for each. Needs libbpf 1.8 and Linux 7.2. Raises
        AttachError, PrivilegeError, StateError, LibraryError, ValueError.
        """
        require_one_each(cookies, len(functions), "functions")
        options = sized(
            TracingMultiOptions,
            ids=c_array(ctypes.c_uint, [self._function_id(each) for each in functions]),
            cookies=c_array(ctypes.c_uint64, cookies),
            cnt=len(functions),
        )
        if not functions:
            pattern = self._require_target(pattern or self.target, "a pattern")
        return self._link("attach_tracing_multi", c_text(pattern) or None, options, function=pattern)

    def _function_id(self, name: str) -> int:
        """Returns a function's id in the kernel's BTF. Raises AttachError."""
        from ..kernel.kernel_btf import function_id

        try:
            return function_id(name)
        except CallError as error:
            what = f"can't attach {self.name} ({errno_text(error.errno)}): this kernel's BTF has no function {name}"
            fix = "`bpftool btf dump file /sys/kernel/btf/vmlinux` lists those that it has"
            raise AttachError(what, fix=fix, errno=error.errno, program=self.name) from None


class ExtensionProgram(TargetedProgram):
    """SEC("freplace/function"): replaces a global function of another program."""

    def attach(self, program: Program | None = None, function: str = "") -> Link:
        """Attaches to the target given before load, or to a function with the same arguments of another program.

        Raises AttachError, PrivilegeError, StateError.
        """
        if program is None:
            return self._link("attach_trace_opts", sized(CookieOptions))
        return self._link("attach_freplace", program.fd, c_text(function or self.target))
