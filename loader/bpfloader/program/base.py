"""Program, the base class of every kind: its section, its descriptor, attaching."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Any, cast

from ..errors import AttachError, CallError, LoadError, StateError, errno_text
from ..kernel.privileges import privilege_error, section_capabilities
from ..libbpf.c_text import c_path
from ..libbpf.library import LIBRARY, library
from ..libbpf.log import captured
from ..link.base import BpfLink, Link
from ..signals import DeferredSignals
from .runnable import Runnable

if TYPE_CHECKING:
    from ..kernel.verifier_figures import VerifierFigures
    from ..libbpf.program_log import ProgramLog
    from ..link.place import Place
    from ..owner import Owner
    from .existing import ExistingProgram

LOAD_WITH_LOG = "load the object by load(log_level=4), or 2 for all that the verifier does"


class Program(Runnable):
    """One program of an object: chosen by `autoload` before load, attached after it.

    While `autoattach` is true, the object's attach attaches it too. A section that no class of its own fits gets this
    class.
    """

    autoattach: bool = True
    _log: ProgramLog | None = None  # the verifier's, where the load asks for it
    _attachable = True  # false where user space or another part of the object calls it instead

    def __init__(self, owner: Owner, name: str):
        self.name, self._owner = name, owner
        self._bpf_program = library().bpf_object__find_program_by_name(owner.handle, name.encode())
        self.section = library().bpf_program__section_name(self._bpf_program).decode()

    @property
    def handle(self) -> int:
        """libbpf's struct bpf_program *. Raises StateError once the object is destroyed."""
        return cast(int, self._owner.handle and self._bpf_program)

    @property
    def autoload(self) -> bool:
        """True if `load` loads it. Settable before load; a program with `?` before its section is off at first."""
        with self._owner.lock:
            return cast(bool, library().bpf_program__autoload(self.handle))

    @autoload.setter
    def autoload(self, wanted: bool) -> None:
        with self._owner.lock:
            self._owner.require_open(f"autoload of {self.name}")
            library().bpf_program__set_autoload(self.handle, wanted)

    def _require_fd(self) -> int:
        """Returns the descriptor. Raises StateError where there is none."""
        with self._owner.lock:
            self._owner.require_loaded(f"the program {self.name}")
            if not self.autoload:
                raise StateError(f"the program {self.name} is not loaded", fix="set its autoload = True before load")
            try:
                return cast(int, library().bpf_program__fd(self.handle))
            except CallError:  # the object is prepared
                raise StateError(f"the program {self.name} doesn't exist before load", fix="call load first") from None

    @property
    def verifier(self) -> VerifierFigures:
        """The verifier's figures of the program. Raises StateError unless it was loaded by `load(log_level=4)`."""
        from ..kernel.verifier_figures import read_figures

        found = read_figures(self.verifier_log)
        if found is None:
            raise StateError(f"the kernel gave no figures of {self.name}", fix=LOAD_WITH_LOG)
        return found

    @property
    def verifier_log(self) -> str:
        """The verifier's log. Raises StateError unless the program was loaded with a `log_level`."""
        self._require_fd()
        if self._log is None:
            raise StateError(f"{self.name} was loaded without the verifier's log", fix=LOAD_WITH_LOG)
        return self._log.text()

    def _keep_log(self, level: int) -> None:
        """Has `load` keep the verifier's log."""
        from ..libbpf.program_log import ProgramLog

        self._log = ProgramLog(self.handle, level)

    @property
    def target(self) -> str:
        """The text after the kind in the section's name, such as `sys_enter` of `raw_tp/sys_enter`; may be empty."""
        return self.section.removeprefix("?").partition("/")[2]

    @property
    def _kind(self) -> str:
        """The text before the target in the section's name: `raw_tp`, `uprobe.s`."""
        return self.section.removeprefix("?").partition("/")[0]

    @property
    def _names_target(self) -> bool:
        """True if the section, or `set_attach_target`, says where to attach, so that `attach` needs no argument."""
        return bool(self.target)

    # Any: each kind's signature says what it can be attached to.
    def attach(self, *target: Any, **options: Any) -> Link:
        """Attaches to what the section names. Raises AttachError, PrivilegeError, StateError, LibraryError."""
        if target or options:
            raise TypeError(f"{self.name} is attached by its section {self.section}: attach takes no arguments")
        link = Program.attach_by_section(self)
        if link is None:
            what = f"can't attach {self.name}: its section {self.section} says not where to"
            raise AttachError(what, fix=f"no kind of program that {LIBRARY} attaches has that section")
        return link

    def attach_by_section(self) -> Link | None:
        """Attaches to what the section names; returns None where that is no target: attach by hand then.

        Raises what `attach` does.
        """
        try:
            return self._link("attach")
        except AttachError as error:
            if error.errno == errno.EOPNOTSUPP and not error.details:  # libbpf has no way to attach that section
                return None
            raise

    def attach_pinned(self, path: str | os.PathLike[str], *target: Any, **options: Any) -> Link:
        """Attaches as `attach(*target, **options)` does and pins the link, or takes over the link pinned there.

        The link's `takeover` says how: "attached", nothing was there; "kept", the same program, with the same maps and
        constants, attached to the same target; "updated", the program was replaced behind the link, and no event was
        missed or seen twice; "replaced", the new link was attached, then the old one's pin was replaced, and both
        programs may have seen an event. A kind that the kernel can't update (tracing, kprobe, uprobe, perf_event), and
        another target, are replaced. Raises what `attach` does; AttachError for something else at that path.
        """
        from .takeover import take_over, taking_over

        c_path(path)
        where = os.path.realpath(os.fspath(path))  # of a symlink, the pin: that is to be replaced
        with taking_over(self._owner, os.path.dirname(where)) as (undo, done):
            place = self._place(*target, **options)
            return take_over(self, where, place, lambda: self.attach(*target, **options), undo, done)

    def _place(self, *target: Any, **options: Any) -> Place | None:
        """Returns where a link of these arguments of `attach` is, as link.place tells it; None if that isn't known."""
        return None

    def _require_target(self, target: str, what: str) -> str:
        """Returns the target. Raises AttachError if it is empty: neither the section nor the caller names `what`."""
        if not target:
            raise AttachError(
                f"can't attach {self.name}: neither its section nor attach names {what}", fix=f"call attach with {what}"
            )
        return target

    def _link(self, verb: str, /, *target: object, **request: object) -> Link:
        """Calls bpf_program__<verb> and returns its link; `request` goes to attach_target if the kernel refuses."""
        with self._owner.lock, DeferredSignals():
            handle = self._call(f"bpf_program__{verb}", self._loaded_handle(), *target, **request)
            return BpfLink(self._owner, self.name, handle)

    def _loaded_handle(self) -> int:
        """Returns libbpf's struct bpf_program *. Raises StateError unless the program is loaded."""
        self._require_fd()
        return self.handle

    def _attach_type(self) -> int:
        """Returns the attach type that its section gives it, of enum bpf_attach_type. Raises StateError."""
        return cast(int, library().bpf_program__expected_attach_type(self._loaded_handle()))

    def _call(self, function: str, /, *arguments: object, **request: object) -> Any:
        """Calls a libbpf function that attaches. Raises AttachError, PrivilegeError, LibraryError."""
        with captured() as messages:
            try:
                return getattr(library(), function)(*arguments)
            except CallError as error:
                from ..diagnose.refusal import attach_refused

                raise attach_refused(self.name, error, messages, self.section, request) from None

    def clone(self) -> ExistingProgram:
        """Loads the program once more, of an object that is prepared or loaded: with its maps, but by itself.

        Needs libbpf 1.8, and `prepare`. Raises StateError before that, LoadError, PrivilegeError, LibraryError.
        """
        from .existing import ExistingProgram

        with self._owner.lock, DeferredSignals(), captured() as messages:
            self._owner.require_loaded(f"a clone of {self.name}")
            try:
                fd = library().bpf_program__clone(self.handle, None)
            except CallError as error:
                what = f"the kernel refuses the clone of {self.name} ({errno_text(error.errno)})"
                denied = privilege_error(f"load {self.name}", error.errno, section_capabilities([self.section]))
                fix = "load the object, whose error shows the verifier's log"
                raise denied or LoadError(what, fix=fix, details=tuple(messages), errno=error.errno) from None
            made = ExistingProgram(fd, self.name, self.section)
            made._returns_context = self._returns_context
            return made


def require_lsm(program: str) -> None:
    """Raises AttachError where BPF is none of the security modules: the kernel would never call an LSM program."""
    from ..kernel.host import without_lsm

    if modules := without_lsm():
        what = f"can't attach {program}: BPF is none of this kernel's security modules, so it would never be called"
        raise AttachError(what, fix=f"boot with lsm={modules},bpf", errno=errno.EOPNOTSUPP, program=program)
