"""struct_ops: tables of kernel functions (a congestion control, a scheduler) that programs implement."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ..errors import AttachError, CallError
from ..libbpf.library import library, require
from ..libbpf.log import captured
from ..link.base import BpfLink, Link
from ..map.base import Map
from ..signals import DeferredSignals
from .base import Program

if TYPE_CHECKING:
    from ..owner import Owner


class StructOpsProgram(Program):
    """SEC("struct_ops/name"): implements a function of a struct_ops map; the map attaches, the program doesn't."""

    _names_target = False
    _attachable = False

    def attach(self) -> BpfLink:
        """Raises AttachError: attach the map that names the program instead."""
        raise AttachError(f"can't attach {self.name} alone: it is part of a struct_ops map", fix="attach that map")


class StructOpsLink(BpfLink):
    """An attached struct_ops map; `program` is the map's name."""

    def exchange(self, table: StructOpsMap) -> None:
        """Replaces the attached map by another of the same kind. Raises AttachError, LibraryError, StateError."""
        with self._owner.lock, DeferredSignals(), captured() as messages:
            self._require_fd()
            try:
                library().bpf_link__update_map(self._handle, table.handle)
            except CallError as error:
                from ..diagnose.refusal import attach_refused

                raise attach_refused(table.name, error, messages) from None
            self.program = table.name


class StructOpsMap(Map):
    """A table of functions: SEC(".struct_ops") or SEC(".struct_ops.link"); the latter can be updated and pinned.

    While `autoattach` is true, the object's attach attaches it too.
    """

    autoattach = True

    def __init__(self, owner: Owner, name: str):
        try:
            super().__init__(owner, name)
        except CallError:
            require("1.2", f'SEC(".struct_ops.link"), which {name} is')
            raise

    def attach(self) -> StructOpsLink:
        """Registers the table with the kernel. Raises AttachError, PrivilegeError, StateError."""
        with self._owner.lock, DeferredSignals(), captured() as messages:
            self._require_fd()
            try:
                handle = library().bpf_map__attach_struct_ops(self.handle)
            except CallError as error:
                from ..diagnose.refusal import attach_refused

                raise attach_refused(self.name, error, messages) from None
            return StructOpsLink(self._owner, self.name, handle)

    def attach_pinned(self, path: str | os.PathLike[str]) -> Link:
        """Attaches it and pins the link, or puts it in the place of the table that a link pinned there attaches.

        For SEC(".struct_ops.link") only; the link's `takeover` says how, as with Program.attach_pinned. Raises what
        `attach` does, AttachError for something else at that path.
        """
        from .takeover import take_over_table, taking_over

        where = os.path.abspath(os.fspath(path))
        with taking_over(self._owner, os.path.dirname(where)) as (undo, done):
            return take_over_table(self, where, undo, done)
