"""Programs at functions and static probes of user-space binaries."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence

from ..libbpf.library import require
from ..libbpf.structs import CookieOptions, UprobeMultiOptions, UprobeOptions, sized
from ..link import Link
from .base import Program
from .kprobe import c_array, c_strings, require_one_each

EVERY_PROCESS = -1  # libbpf: a pid of -1 is every process, 0 the calling one


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

        `binary` without a slash is looked for as the shell and the linker do. `offset` is bytes into the function, or
        into the file where none is named. `pid` is one process, 0 this one, -1 every one. `semaphore` is the file
        offset of a counter that the kernel raises while attached. Raises AttachError, PrivilegeError, StateError.
        """
        if not binary:
            path, _, name = self.target.rpartition(":")
            function, _, inside = name.partition("+")
            binary, offset = self._require_target(path, "a binary and a function"), offset or int(inside or "0", 0)
        options = sized(
            UprobeOptions,
            ref_ctr_offset=semaphore,
            bpf_cookie=cookie,
            retprobe=self._kind.startswith("uretprobe") if at_return is None else at_return,
            func_name=function.encode() or None,
        )
        request = {"binary": binary, "function": function, "offset": offset, "pid": pid}
        return self._link("attach_uprobe_opts", pid, os.fsencode(binary), offset, options, **request)

    def attach_by_section(self) -> Link | None:
        """Attaches to the section's binary and function; returns None where it names none. Raises as attach."""
        return self.attach() if self.target else None


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

        Without a binary, what the section names counts. `semaphores` and `cookies` go with a list, one for each. Raises
        AttachError, PrivilegeError, StateError, LibraryError, ValueError.
        """
        listed = functions or offsets
        require_one_each(cookies, len(listed), "functions")
        require_one_each(semaphores, len(listed), "functions")
        if not binary:
            path, _, pattern = self.target.rpartition(":")
            binary = self._require_target(path, "a binary and a pattern")
        session = self._kind.startswith("uprobe.session")
        if session:
            require("1.6", "uprobe.session")
        options = sized(
            UprobeMultiOptions,
            syms=c_strings(functions),
            offsets=c_array(ctypes.c_ulong, offsets),
            ref_ctr_offsets=c_array(ctypes.c_ulong, semaphores),
            cookies=c_array(ctypes.c_uint64, cookies),
            cnt=len(listed),
            retprobe=self._kind.startswith("uretprobe") if at_return is None else at_return,
            session=session,
        )
        wanted = None if listed else self._require_target(pattern, "a pattern").encode()
        request = {"binary": binary, "function": functions[0] if len(functions) == 1 else "", "pid": pid}
        return self._link("attach_uprobe_multi", pid, os.fsencode(binary), wanted, options, **request)


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

        `pid` is one process, 0 this one, -1 every one. Raises AttachError, PrivilegeError, StateError.
        """
        if not binary:
            path, _, name = self.target.rpartition(":")
            binary, _, provider = path.rpartition(":")
        self._require_target(name if binary and provider else "", "a binary, a provider and a name")
        options = sized(CookieOptions, cookie=cookie)
        request = {"binary": binary, "provider": provider, "name": name, "pid": pid}
        return self._link("attach_usdt", pid, os.fsencode(binary), provider.encode(), name.encode(), options, **request)
