"""Errors of the loader: each says in one line what is wrong and what to do next."""

from __future__ import annotations

import errno as numbers
import os
import sys
import warnings
from typing import NamedTuple

from .text import printable

# include/linux/errno.h: a number internal to the kernel, unknown to libc, that BPF returns nevertheless.
ENOTSUPP = 524
SHOWN_LINES = 20  # the last lines of a log in an error's text: the verifier states its reason at the end
TRY_ANOTHER = "use another kind of program"
USE_FENTRY = "use fentry or a tracepoint"  # instead of a kprobe
USE_KPROBE = "use a kprobe or a tracepoint"  # instead of fentry
OTHER_KINDS = (TRY_ANOTHER, USE_FENTRY, USE_KPROBE)  # fixes that whoever has variants of a program knows better
COMMAND = f"python -m {__package__}"  # this loader's command line: in a tool's wheel it is the tool's
REINSTALL = "install the package again, from a wheel that you trust"


class Explanation(NamedTuple):
    """An error's line in two halves: why something was refused or is missing, and the next step."""

    what: str
    fix: str


class BpfError(Exception):
    """Base of all errors. `what` is wrong, `fix` is the next step, `details` are more lines (libbpf's, the verifier's).

    `errno` is the kernel's error number, 0 without one.
    """

    def __init__(self, what: str, *, fix: str = "", details: tuple[str, ...] = (), errno: int = 0):
        self.what, self.fix, self.details, self.errno = what, fix, tuple(details), errno
        super().__init__(what)

    @property
    def errno_name(self) -> str:
        """The errno's name, such as `EPERM`; empty without an errno."""
        return errno_text(self.errno).split(":")[0].split(" (")[0] if self.errno else ""

    def __str__(self) -> str:
        line = f"{self.what}; {self.fix}" if self.fix else self.what
        return "\n".join([printable(line), *(f"  {printable(detail)}" for detail in self.details)])


class LibraryError(BpfError):
    """libbpf.so.1 is missing, or too old for the feature."""


class PrivilegeError(BpfError):
    """This process lacks a capability that the kernel requires."""


class ObjectError(BpfError):
    """A file is no BPF object, or an object for another machine."""


class DigestError(ObjectError):
    """An object's sha256 differs from the one in its skeleton."""


class StateError(BpfError):
    """A call or an access at the wrong time: a constant set after load, a map read before, anything after destroy."""


class RefusedError(BpfError):
    """The kernel refused a program; `choose` goes on to the next variant.

    `program` is the refused program's name if there is one, `log` the whole of the verifier's log, `fix` the hint.
    """

    def __init__(
        self,
        what: str,
        *,
        fix: str = "",
        details: tuple[str, ...] = (),
        errno: int = 0,
        program: str = "",
        log: tuple[str, ...] = (),
    ):
        super().__init__(what, fix=fix, details=details, errno=errno)
        self.program, self.log = program, log


class LoadError(RefusedError):
    """The kernel refused the object or one of its programs."""


class MissingBtfError(LoadError):
    """The kernel carries no BTF, which CO-RE needs."""


class VerifierError(LoadError):
    """The verifier refused a program: `program`, `errno`, `log` (a line each); its last lines are in the message."""

    def __init__(
        self,
        what: str,
        *,
        program: str,
        log: tuple[str, ...],
        shown: tuple[str, ...] = (),
        fix: str = "",
        errno: int = 0,
    ):
        shown = (shown or log)[-SHOWN_LINES:]
        hidden = len(log) - len(shown)
        above = [f"[{hidden} more lines of the verifier's log are in this error's `log`]"] if hidden > 0 else []
        details = (*above, *shown)
        super().__init__(what, fix=fix, details=details, errno=errno, program=program, log=log)


class AttachError(RefusedError):
    """The kernel loaded a program but refused to attach it."""


def warn(message: str) -> None:
    """Warns (RuntimeWarning) at the line that called the loader, however deep in it this is."""
    level, frame = 2, sys._getframe(1)
    while frame.f_back and f"{frame.f_globals.get('__name__')}.".startswith(f"{__package__}."):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, RuntimeWarning, stacklevel=level)


class VariantsError(RefusedError):
    """None of the variants works on this kernel; `refused` has the error of each by name."""

    def __init__(self, refused: dict[str, RefusedError]):
        self.refused = refused
        if len(refused) == 1:
            ((name, error),) = refused.items()
            details = (_variant_line(name, error.what, error.fix), *(f"  {detail}" for detail in error.details))
            super().__init__(f"this kernel doesn't take the variant {name}", details=details)
            return
        lines = (
            _variant_line(name, error.what, "" if error.fix in OTHER_KINDS else error.fix)
            for name, error in refused.items()
        )
        what = f"this kernel takes none of the variants {', '.join(refused)}"
        super().__init__(what, fix="choose one alone to see all of its log", details=tuple(lines))


def _variant_line(variant: str, what: str, fix: str) -> str:
    return f"{variant}: {what}; {fix}" if fix else f"{variant}: {what}"


class MapError(BpfError):
    """The kernel refused an operation on a map."""


class LayoutError(BpfError, ValueError):
    """A value that doesn't fit its C type, or bytes of another size."""


class CallError(BpfError):
    """A libbpf function failed; only its errno is known."""


# libbpf's own error numbers, from 4000 on, and their texts (src/libbpf.h, enum libbpf_errno).
LIBBPF_ERRNOS = {
    4000: "LIBELF: libelf failed",
    4001: "FORMAT: not the format expected",
    4002: "KVERSION: 'version' section incorrect or lost",
    4003: "ENDIAN: another byte order",
    4004: "INTERNAL: internal error in libbpf",
    4005: "RELOC: relocation failed",
}


def errno_text(number: int) -> str:
    """Returns an errno as text, `EPERM: Operation not permitted`; knows the kernel's 524 and libbpf's own, too."""
    if number in LIBBPF_ERRNOS:
        return f"LIBBPF_ERRNO__{LIBBPF_ERRNOS[number]}"
    if number == ENOTSUPP:
        return "ENOTSUPP (524): not supported by this kernel"
    return f"{numbers.errorcode.get(number, f'errno {number}')}: {os.strerror(number)}"
