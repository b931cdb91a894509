"""Programs at functions and static probes of user-space binaries."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import re
from collections.abc import Iterator, Sequence

from ..errors import AttachError, CallError, errno_text, warn
from ..libbpf.c_text import c_path, c_text
from ..libbpf.library import require, version
from ..libbpf.structs import CookieOptions, UprobeMultiOptions, UprobeOptions, sized
from ..link.base import GroupLink, Link
from ..signals import DeferredSignals
from ..symbols.probe_file import ProbeFile, has_mapped, probe_file
from ..symbols.process import live_thread, shows_our_processes
from .base import Program
from .kprobe import c_array, c_strings, require_one_each, split_offset

EVERY_PROCESS = -1  # libbpf: a pid of -1 is every process, 0 the calling one
# Bytes of struct __bpf_usdt_spec, which libbpf (src/usdt.c) writes and the object's usdt.bpf.h reads: 1.7 has more.
USDT_SPECS, SPEC_SIZE, SPEC_SIZE_1_7 = "__bpf_usdt_specs", 208, 304


@contextlib.contextmanager
def file_of(program: str, binary: str | os.PathLike[str], pid: int) -> Iterator[ProbeFile]:
    """Finds the file to be probed for the `with`, as the process sees it (symbols/probe_file.py). Raises AttachError.

    Warns where this process may not look at that one's files, and takes its own; and of a process that hasn't mapped
    what was attached to.
    """
    name = os.fsdecode(binary)
    with contextlib.ExitStack() as stack:
        if pid > 0 and not shows_our_processes():
            what = (
                f"/proc shows another PID namespace than this process's, so the files of process {pid} can't be found"
            )
            warn(f"{what}, and {name} is taken as this process sees it; mount it anew: mount -t proc proc /proc")
            yield stack.enter_context(probe_file(name, EVERY_PROCESS))
            return
        try:
            file = stack.enter_context(probe_file(name, pid))
        except PermissionError as error:
            what = f"can't see whether process {pid} has files of its own ({errno_text(error.errno or 0)})"
            fix = f"give this process CAP_SYS_PTRACE, or a path below /proc/{pid}/root"
            warn(f"{what}, and {name} is taken as this process sees it; {fix}")
            file = stack.enter_context(probe_file(name, EVERY_PROCESS))
        except OSError as error:
            number = error.errno or errno.ENOENT
            what = f"can't attach {program} ({errno_text(number)}): process {pid} has no {name} among its files"
            fix = f"give a path as that process sees it, below /proc/{pid}/root, or a name that /proc/{pid}/maps shows"
            raise AttachError(what, fix=fix, errno=number, program=program) from None
        if pid > 0 and not has_mapped(pid, file.path):  # before the attach: a warning may be an exception
            what = f"process {pid} has not mapped {file.name}, so {program} sees nothing of it yet"
            fix = f"give a file that /proc/{pid}/maps shows, or the id of the process that runs it"
            warn(f"{what}; {fix}")
        yield file


def _task(pid: int) -> int:
    """Returns the id by which the kernel takes a probe of a process: of its first thread, or of one that still runs."""
    return live_thread(pid) if pid > 0 and shows_our_processes() else pid


def warn_of_go(program: str, file: ProbeFile) -> None:
    """Warns of a return probe in a Go program, whose runtime finds the probe's return address as it moves a stack."""
    if file.is_go():
        what = f"{file.name} is a Go program, which the return probe {program} may crash"
        fix = "probe the function's return instructions (objdump -d): attach(binary, function, offset=…)"
        warn(f"{what}; {fix}")


class UprobeProgram(Program):
    """SEC("uprobe/binary:function+offset"), SEC("uretprobe/binary:function"): at a function of a binary."""

    def attach(
        self,
        binary: str | os.PathLike[str] = "",
        function: str = "",
        *,
        offset: int = 0,
        pid: int = EVERY_PROCESS,
        at_return: bool | None = None,
        cookie: int = 0,
        semaphore: int = 0,
    ) -> Link:
        """Attaches to a function of a program or library; without a binary, to what the section names.

        `binary` without a slash is looked for as the shell and the linker do. `function` may have a version,
        `f@VERSION`, or be a name of C++ or Rust, `space::f` or `space::f(int)`: without arguments, all such functions
        are meant. `offset` is bytes into it, or into the file where none is named. `pid` is one process, 0 this one, -1
        every one; with a process of another root, such as a container's, the binary is looked for there. `semaphore` is
        the file offset of a counter that the kernel raises while attached. Raises AttachError, PrivilegeError,
        StateError.
        """
        if not binary:
            target, name = _split_section(self.target)
            function, inside = split_offset(name)
            binary, offset = self._require_target(target, "a binary and a function"), offset or inside
        options = sized(
            UprobeOptions,
            ref_ctr_offset=semaphore,
            bpf_cookie=cookie,
            retprobe=self._kind.startswith("uretprobe") if at_return is None else at_return,
        )
        request: dict[str, object] = {"binary": binary, "function": function, "offset": offset, "pid": pid}
        with file_of(self.name, binary, pid) as file:
            if options.retprobe:
                warn_of_go(self.name, file)
            task, path, offsets = _task(pid), c_path(file.path), file.offsets(function)
            if not offsets:  # libbpf says what is wrong with the name
                options.func_name = c_text(function) or None
                return self._link("attach_uprobe_opts", task, path, offset, options, **request)
            places = [each + offset for each in offsets]
            if len(places) == 1:
                return self._link("attach_uprobe_opts", task, path, places[0], options, **request)
            with self._owner.lock, DeferredSignals(), contextlib.ExitStack() as stack:
                links: list[Link] = []  # all or none
                for place in places:
                    links.append(self._link("attach_uprobe_opts", task, path, place, options, **request))
                    stack.callback(links[-1].detach)
                stack.pop_all()
                return GroupLink(self._owner, self.name, links)

    def attach_by_section(self) -> Link | None:
        """Attaches to the section's binary and function; returns None where it names none. Raises as attach."""
        return self.attach() if self.target else None


def _split_section(target: str) -> tuple[str, str]:
    """Splits `binary:function` at its last single colon: names of C++ and Rust have double ones."""
    found = re.fullmatch(r"(.*)(?<!:):(?!:)(.*)", target, re.DOTALL)
    return (found[1], found[2]) if found else ("", target)


class UprobeMultiProgram(Program):
    """SEC("uprobe.multi/binary:pattern"), uretprobe.multi, uprobe.session: at many functions of a binary at once.

    Needs libbpf 1.3, a session 1.6.
    """

    def attach(
        self,
        binary: str | os.PathLike[str] = "",
        pattern: str = "",
        *,
        functions: Sequence[str] = (),
        offsets: Sequence[int] = (),
        semaphores: Sequence[int] = (),
        cookies: Sequence[int] = (),
        pid: int = EVERY_PROCESS,
        at_return: bool | None = None,
    ) -> Link:
        """Attaches to the functions that match a pattern with `*` and `?`, or to those listed, by name or file offset.

        Without a binary, what the section names counts. Listed names may have versions or be of C++ or Rust, and `pid`
        may be a process of another root, as for a uprobe. `semaphores` and `cookies` go with a list, one for each.
        Raises AttachError, PrivilegeError, StateError, LibraryError, ValueError.
        """
        listed = functions or offsets
        require_one_each(cookies, len(listed), "functions")
        require_one_each(semaphores, len(listed), "functions")
        if not binary:
            path, pattern = _split_section(self.target)
            binary = self._require_target(path, "a binary and a pattern")
        session = self._kind.startswith("uprobe.session")
        if session:
            require("1.6", "uprobe.session")
        wanted = None if listed else c_text(self._require_target(pattern, "a pattern"))
        request = {"binary": binary, "function": functions[0] if len(functions) == 1 else "", "pid": pid}
        with file_of(self.name, binary, pid) as file:
            places = [file.offsets(each) for each in functions]
            if functions and all(places):
                # A C++ name may have several functions: each has its cookie and semaphore.
                offsets = [place for each in places for place in each]
                semaphores = [value for value, each in zip(semaphores, places) for _ in each]
                cookies = [value for value, each in zip(cookies, places) for _ in each]
                functions = ()
            options = sized(
                UprobeMultiOptions,
                syms=c_strings(functions),
                offsets=c_array(ctypes.c_ulong, offsets),
                ref_ctr_offsets=c_array(ctypes.c_ulong, semaphores),
                cookies=c_array(ctypes.c_uint64, cookies),
                cnt=len(functions or offsets),
                retprobe=self._kind.startswith("uretprobe") if at_return is None else at_return,
                session=session,
            )
            if options.retprobe or session:
                warn_of_go(self.name, file)
            return self._link("attach_uprobe_multi", _task(pid), c_path(file.path), wanted, options, **request)


class UsdtProgram(Program):
    """SEC("usdt/binary:provider:name"): at a static probe (USDT) of a binary, with the arguments that it declares."""

    def attach(
        self,
        binary: str | os.PathLike[str] = "",
        provider: str = "",
        name: str = "",
        *,
        pid: int = EVERY_PROCESS,
        cookie: int = 0,
    ) -> Link:
        """Attaches to a static probe; without a binary, to the one that the section names.

        `pid` is one process, 0 this one, -1 every one; with a process of another root, such as a container's, the
        binary is looked for there. Raises AttachError, PrivilegeError, StateError.
        """
        if not binary:
            path, _, name = self.target.rpartition(":")
            binary, _, provider = path.rpartition(":")
        self._require_target(name if binary and provider else "", "a binary, a provider and a name")
        self._require_equal_specs()
        options = sized(CookieOptions, cookie=cookie)
        request = {"binary": binary, "provider": provider, "name": name, "pid": pid}
        with file_of(self.name, binary, pid) as file:
            probe = (c_path(file.path), c_text(provider), c_text(name))
            return self._link("attach_usdt", _task(pid), *probe, options, **request)

    def _require_equal_specs(self) -> None:
        """Refuses an object whose usdt.bpf.h describes arguments as this libbpf doesn't: it would read wrong values.

        Of a libbpf beyond 1.7 nothing is known. Raises AttachError.
        """
        release = tuple(map(int, version().split(".")[:2]))
        wanted = SPEC_SIZE if release < (1, 7) else SPEC_SIZE_1_7
        try:
            size = self._owner.map_attribute(self._owner.find_map(USDT_SPECS), "value_size")
        except CallError:
            return  # an object without usdt.bpf.h, which libbpf refuses
        if release <= (1, 7) and size != wanted and size in (SPEC_SIZE, SPEC_SIZE_1_7):
            built = "1.7" if size == SPEC_SIZE_1_7 else "a libbpf before 1.7"
            what = f"can't attach {self.name}: it was built with the usdt.bpf.h of {built}, and libbpf {version()} "
            what += "describes a probe's arguments in another form"
            raise AttachError(what, fix="build it with this libbpf's header, or load it with the other libbpf")
