"""Programs that exist, opened by their pin or id, and clones of an object's: to run, to pin, to put behind a link."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Any, cast

from ..errors import COMMAND, CallError, PrivilegeError, StateError, errno_text
from ..kernel.objects import fd_by_id, program_info
from ..libbpf.pin import pinned_fd
from ..link.existing import NoOwner
from .runnable import Runnable

if TYPE_CHECKING:
    from typing_extensions import Self


def open_program(source: str | os.PathLike[str] | int) -> ExistingProgram:
    """Opens a program that exists, by the path of its pin or by its id (`python -m bpfloader ps`).

    Raises CallError where there is none, or something else is pinned there; PrivilegeError: an id needs CAP_SYS_ADMIN.
    """
    if isinstance(source, bool) or not isinstance(source, (int, str, os.PathLike)):
        raise TypeError(f"{source!r} is no path or id of a program")
    if not isinstance(source, int):
        return ExistingProgram(pinned_fd(source, "program", CallError))
    try:
        return ExistingProgram(fd_by_id("prog", source))
    except CallError as error:
        what = f"can't open the program with the id {source} ({errno_text(error.errno)})"
        if error.errno == errno.EPERM:
            raise PrivilegeError(what, fix="run with CAP_SYS_ADMIN, or open it by its pin", errno=error.errno) from None
        raise CallError(what, fix=f"list the programs: {COMMAND} ps", errno=error.errno) from None


class ExistingProgram(Runnable):
    """A loaded program without an object. It is closed by `close`, the end of a `with` and its last reference.

    It can be run (`test_run`), described (`info`), pinned, put behind a link (`link.update(program)`) and into a
    program array; only the object that loads a program can attach it.
    """

    _fd = -1

    def __init__(self, fd: int, name: str = "", section: str = ""):
        self._owner, self._fd = cast(Any, NoOwner()), fd
        self.name, self.section = name or program_info(fd).name, section

    def _require_fd(self) -> int:
        with self._owner.lock:
            if self._fd < 0:
                raise StateError(f"the program {self.name} is closed", fix="open it again")
            return self._fd

    def close(self) -> None:
        """Closes its descriptor; does nothing the second time."""
        if self._fd < 0:
            return
        with self._owner.lock:  # no other thread runs it meanwhile
            fd, self._fd = self._fd, -1
            if fd >= 0:
                os.close(fd)

    __del__ = close

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
