"""Explains a refused load or attach by errno, libbpf's log and this process's capabilities; names the next step.

Imports what explains (the verifier's words, the kernel's BTF, the tables of versions) only when something was refused:
most programs load.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from ..errors import (
    COMMAND,
    ENOTSUPP,
    OTHER_KINDS,
    TRY_ANOTHER,
    USE_FENTRY,
    USE_KPROBE,
    AttachError,
    BpfError,
    CallError,
    Explanation,
    LoadError,
    MissingBtfError,
    ObjectError,
    VerifierError,
    errno_text,
)
from ..kernel.privileges import attach_capabilities, load_capabilities, privilege_error

# libbpf's lines before and around the verifier's log (bpf_object_load_prog in libbpf.c; the same from 1.0 to 1.8).
LOG_BEGINS = r"prog '(?P<program>[^']*)': -- BEGIN PROG LOAD LOG --\n"
LOG_ENDS = "-- END PROG LOAD LOG --"
NO_BTF = r"Error loading vmlinux BTF|failed to find valid kernel BTF|vmlinux BTF is not found"
FAILED_PROGRAM = r"prog '(?P<program>[^']*)': (?:BPF program load failed|failed to load|missing BPF prog type)"
FAILED_MAP = r"map '(?P<map>[^']*)': failed to create"

NO_CLSACT = Explanation("this kernel has no clsact", "modprobe sch_ingress cls_bpf")
CHECK_SIZES = "check its sizes and flags"
SEE_LOG = "read the end of its log (more of it is in this error's `log`)"
FEWER_SIGNALS = "open and load it again, without a timer or a process that sends it signals all the time"
USE_AUTOLOAD = f"see what this kernel lacks of it: {COMMAND} inspect FILE; leave programs out by their autoload = False"
LOAD_REASONS = {
    errno.EPERM: Explanation("this kernel doesn't permit that kind of program", TRY_ANOTHER),
    errno.ENOENT: Explanation("this kernel has no such hook", TRY_ANOTHER),
    errno.ESRCH: Explanation("this kernel has no such function or tracepoint", TRY_ANOTHER),
    ENOTSUPP: Explanation("this kernel can't do that on this machine", TRY_ANOTHER),
}
ATTACH_REASONS = {
    errno.EPERM: Explanation("this kernel doesn't permit that way to attach", TRY_ANOTHER),
    errno.ENOENT: Explanation("this kernel has no such function, tracepoint or hook", TRY_ANOTHER),
    errno.ESRCH: Explanation("this kernel has no such function", TRY_ANOTHER),
    errno.EOPNOTSUPP: Explanation("this kernel doesn't support that way to attach", TRY_ANOTHER),
    ENOTSUPP: Explanation("this kernel can't do that on this machine", TRY_ANOTHER),
    errno.EBUSY: Explanation("another program is attached there", "detach it first"),
    errno.E2BIG: Explanation("no more programs can be attached there", "detach another first"),
    errno.EINVAL: Explanation(
        "this kernel doesn't know that way to attach, or the target is no such thing", TRY_ANOTHER
    ),
    errno.EEXIST: Explanation("it is attached there already, or what is there excludes it", "detach that first"),
    errno.EACCES: Explanation("this process may not attach there", "run it as root"),
    errno.ENODEV: Explanation("there is no such device", "name one that is there"),
    errno.EBADF: Explanation("the target is closed, or of another kind", "open it, and keep it open while you attach"),
    errno.ENOMEM: Explanation("the kernel has no memory for it", "attach fewer programs, or free memory"),
    errno.ENOSPC: Explanation("there is no room for another one", "detach another first"),
    errno.EMFILE: Explanation("this process has too many files open", "close some, or raise the limit: ulimit -n"),
    errno.ENFILE: Explanation("this machine has too many files open", "raise the limit: sysctl fs.file-max"),
    errno.EINTR: Explanation("a signal interrupted it", "attach it again"),
    errno.EAGAIN: Explanation("the kernel couldn't do it at that moment", "attach it again"),
    errno.ESTALE: Explanation("other programs were attached or detached there meanwhile", "ask for the revision again"),
    errno.ENOLINK: Explanation("what it was attached to has gone", "attach it to what is there now"),
}


def _explain_errno(number: int, reasons: Mapping[int, Explanation], fix: str, section: str = "") -> Explanation:
    """Explains an errno: its reason, what this kernel was built without, what this process lacks.

    `fix` is the next step where no other is known.
    """
    from ..kernel import host

    reason, fix = reasons.get(number, Explanation("", fix))
    options = host.missing_options(section)
    missing = host.missing_capabilities(attach_capabilities(section, number)) if number == errno.EPERM else ()
    if missing:
        unsure = "" if section else " if it is a network hook"
        fix = f"give the process {', '.join(missing)}{unsure}, or {TRY_ANOTHER}"
    elif options:
        reason, fix = f"this kernel was built without {', '.join(options)}", _another_kind(section, options)
    elif number == errno.EPERM:
        cause = host.denial_fix()
        if reason and not cause and host.has_all_options(section):
            reason += ", though it was built for it"
        fix = cause or fix
    elif number == errno.ENOMEM and host.memlock_limit() is not None and host.kernel_is_before("5.11"):
        fix = host.memlock_fix()
    return Explanation(f"({errno_text(number)}): {reason}" if reason else f"({errno_text(number)})", fix)


def _another_kind(section: str, options: Sequence[str]) -> str:
    """Returns what to use instead of a section's kind of program, on a kernel that lacks these of its options."""
    head = section.lstrip("?").split("/")[0].split(".")[0]
    if "CONFIG_BPF_EVENTS" in options:  # tracepoints and fentry need it, too
        return TRY_ANOTHER
    if head in ("kprobe", "kretprobe", "ksyscall", "kretsyscall"):
        return USE_FENTRY
    return USE_KPROBE if head in ("fentry", "fexit", "fsession") else TRY_ANOTHER


def load_refused(
    name: str,
    error: CallError,
    messages: Iterable[str],
    handle: int = 0,
    btf: str | None = None,
    data: bytes = b"",
    logs: Mapping[str, str] | None = None,
    packed: Sequence[str] = (),
) -> BpfError:
    """Returns the error for an object that doesn't load, with the verifier's log or libbpf's last lines.

    `handle` is libbpf's object, for its maps and programs; `btf` is the file that replaces the kernel's BTF; `data` is
    the object's bytes, searched for source lines and for what came with a later kernel. `logs` are the verifier's, by
    program, where the caller asked for them: libbpf doesn't show such a one. `packed` are the kernels that the object's
    package has BTF for, none of which is this one.
    """
    text = "".join(messages)
    failed = re.search(FAILED_PROGRAM, text) if logs else None
    if logs and failed and logs.get(failed["program"]):
        text += f"prog '{failed['program']}': -- BEGIN PROG LOAD LOG --\n{logs[failed['program']]}{LOG_ENDS}\n"
    refusal = _load_refused(name, error, text, handle, btf, data)
    if packed and isinstance(refusal, MissingBtfError):
        return _none_packed(name, error, packed)
    if data and isinstance(refusal, LoadError) and not isinstance(refusal, MissingBtfError):
        failed_map = re.search(FAILED_MAP, text)
        refusal.fix = _fix_with_newer(refusal, data, (failed_map["map"],) if failed_map else ())
    return refusal


def _none_packed(name: str, error: CallError, packed: Sequence[str]) -> BpfError:
    """Returns the error of a kernel without BTF whose package has BTF for others."""
    what = f"can't load {name}: this kernel ({os.uname().release}) has no BTF, and the package has it for"
    fix = "declare it in toolchain.toml and name it in kernel_btf, or give its BTF: open(btf=path)"
    return MissingBtfError(f"{what} {', '.join(packed)} alone", fix=fix, errno=error.errno)


def _fix_with_newer(refusal: LoadError, data: bytes, maps: tuple[str, ...]) -> str:
    """Returns a refusal's next step, and what the object uses that came with a later kernel than this one."""
    from .older_kernel import UNKNOWN_INSTRUCTION, newer_needs, newer_note

    try:
        note = newer_note(newer_needs(data, refusal.what, (refusal.program,) if refusal.program else (), maps))
    except ObjectError:
        return refusal.fix
    if not note or " came with " in refusal.fix:
        return refusal.fix
    if UNKNOWN_INSTRUCTION.search(refusal.what) or refusal.fix in (USE_AUTOLOAD, *OTHER_KINDS):
        return note
    return f"{refusal.fix}; what it uses is newer than this kernel, too: {note}"


def _load_refused(name: str, error: CallError, text: str, handle: int, btf: str | None, data: bytes) -> BpfError:
    """Returns the error that libbpf's messages tell."""
    from .verifier_log import states_anything

    if error.errno == errno.EAGAIN:  # of bpf_check (kernel/bpf/verifier.c); its log ends anywhere
        what = f"can't load {name}: signals interrupted the verifier each time ({errno_text(error.errno)})"
        return LoadError(what, fix=FEWER_SIGNALS, details=last_lines(text), errno=error.errno)
    log, failed_map = _program_log(text), re.search(FAILED_MAP, text)
    stated = log is not None and states_anything(log.lines)
    if not stated:
        wanted = load_capabilities(failed_map["map"] if failed_map else "", handle)
        denied = privilege_error(f"load {name}", error.errno, wanted)
        if denied:
            return denied
    from ..btf.path import KERNEL_BTF

    if re.search(NO_BTF, text) and not os.path.exists(KERNEL_BTF):
        fix = "boot a kernel with CONFIG_DEBUG_INFO_BTF=y, or give its BTF: open(btf=path)"
        if btf:
            fix = "boot a kernel with CONFIG_DEBUG_INFO_BTF=y: the BTF that was given serves CO-RE alone"
        return MissingBtfError(f"can't load {name}: this kernel has no {KERNEL_BTF}", fix=fix, errno=error.errno)
    if log and stated:
        return _verifier_error(name, error, log, btf or KERNEL_BTF, data)
    if failed_map:
        return _map_refused(name, failed_map["map"], error, text, handle)
    return _program_refused(name, error, text, handle)


class _ProgramLog(NamedTuple):
    """The verifier's log of a program."""

    program: str
    lines: tuple[str, ...]


def _program_log(text: str) -> _ProgramLog | None:
    """Returns the log of the last program whose log libbpf shows."""
    begins = list(re.finditer(LOG_BEGINS, text))
    if not begins:
        return None
    start = begins[-1].end()
    end = text.find(LOG_ENDS, start)
    return _ProgramLog(begins[-1]["program"], tuple(text[start : end if end >= 0 else len(text)].splitlines()))


def _verifier_error(name: str, error: CallError, log: _ProgramLog, btf: str, data: bytes) -> VerifierError:
    """Returns a refused program's error: reason, source line, hint; CO-RE's in its own words."""
    from ..btf.kernel import kernel_types
    from .core_relo import unresolved_access
    from .verifier_log import diagnose_log

    reason, source, hint, shown = diagnose_log(_lines_with_places(log, data))
    unresolved = unresolved_access("\n".join(log.lines[-20:]), kernel_types(btf))
    if unresolved:
        reason, hint = f"CO-RE can't resolve {unresolved.what}: {unresolved.instead}", unresolved.fix
    what = f"can't load {name}: the verifier refuses the program {log.program} ({errno_text(error.errno)})"
    what += f": {reason}" if reason else ""
    what += f", at {source}" if source else ""
    fix = hint or SEE_LOG
    return VerifierError(what, program=log.program, log=log.lines, shown=shown, fix=fix, errno=error.errno)


def _lines_with_places(log: _ProgramLog, data: bytes) -> tuple[str, ...]:
    """Returns a log's lines, with the file and number of its source lines if the object's bytes tell them."""
    from ..spec.object import object_spec
    from .source_places import with_places

    try:
        return with_places(log.lines, object_spec(data, log.program), log.program) if data else log.lines
    except ObjectError:
        return log.lines


def _map_refused(name: str, map_name: str, error: CallError, text: str, handle: int) -> LoadError:
    """Returns the error of a map that the kernel doesn't make: it doesn't know the type, or refuses the sizes."""
    from ..kernel.host import map_capabilities, missing_capabilities
    from ..kernel.privileges import map_kind
    from ..libbpf.library import library
    from .libbpf_messages import explain_load
    from .map_rules import LINK_FLAG, LINKED_TABLE, LINKED_TABLE_SINCE, map_fix
    from .verifier_log import too_old_hint

    explanation = explain_load(text, "", None)
    if explanation:  # its pin is at fault, not its type or sizes
        what = f"can't load {name}: the map {map_name} ({errno_text(error.errno)}): {explanation.what}"
        return LoadError(what, fix=explanation.fix, details=last_lines(text), errno=error.errno)
    what = f"can't load {name}: the kernel refuses the map {map_name} ({errno_text(error.errno)})"
    fix = _explain_errno(error.errno, {}, CHECK_SIZES).fix
    if handle:
        bpf_map = library().bpf_object__find_map_by_name(handle, map_name.encode())
        number = library().bpf_map__type(bpf_map)
        kind = map_kind(bpf_map)
        sizes = (
            f"max_entries {library().bpf_map__max_entries(bpf_map)}, key {library().bpf_map__key_size(bpf_map)} bytes"
        )
        sizes += f", value {library().bpf_map__value_size(bpf_map)} bytes"
        sizes += f", flags {library().bpf_map__map_flags(bpf_map):#x}"
        what += f": {kind.name if kind else f'type {number}'} of {sizes}"
        fix = (kind and too_old_hint(f"a map of type {kind.name}", kind.kernel)) or fix
        if kind and kind.name == "struct_ops" and library().bpf_map__map_flags(bpf_map) & LINK_FLAG:
            fix = too_old_hint(LINKED_TABLE, LINKED_TABLE_SINCE) or fix
        if kind and fix == CHECK_SIZES:
            fix = map_fix(error.errno, kind.name, library().bpf_map__map_flags(bpf_map)) or fix
        elif not kind:
            fix = f"take a type that linux/bpf.h and this kernel have: {COMMAND} probe"
        missing = missing_capabilities(map_capabilities(kind.name)) if kind and error.errno == errno.EPERM else ()
        if kind and missing:
            fix = f"give the process {', '.join(missing)}, which a map of type {kind.name} needs"
    return LoadError(what, fix=fix, details=last_lines(text), errno=error.errno)


def _program_refused(name: str, error: CallError, text: str, handle: int) -> LoadError:
    """Returns the error of a program without a log, or of an object as a whole, by libbpf's own words."""
    from ..btf.kernel import kernel_types
    from ..btf.path import KERNEL_BTF
    from .libbpf_messages import explain_load, own_words

    failed = re.search(FAILED_PROGRAM, text)
    program, section = failed["program"] if failed else "", ""
    if program and handle:
        from ..libbpf.library import library

        bpf_program = library().bpf_object__find_program_by_name(handle, program.encode())
        section = library().bpf_program__section_name(bpf_program).decode()
    refuses = f"the kernel refuses the program {program}" if program else "the kernel refuses the object"
    why, fix = _explain_errno(error.errno, LOAD_REASONS if failed else {}, USE_AUTOLOAD, section)
    explanation = explain_load(text, section, kernel_types(KERNEL_BTF))
    if not explanation and (words := own_words(text)):
        why = f"{why}: {words}" if why.endswith(")") else why
    if explanation:
        why, fix = f"({errno_text(error.errno)}): {explanation.what}", explanation.fix or fix
    what = f"can't load {name}: {refuses} {why}"
    return LoadError(what, fix=fix, details=last_lines(text), errno=error.errno, program=program)


def attach_refused(
    program: str,
    error: CallError,
    messages: Iterable[str],
    section: str = "",
    request: Mapping[str, object] | None = None,
) -> BpfError:
    """Returns the error for a program that doesn't attach; its section and the request tell what is missing."""
    text = "".join(messages)
    details = last_lines(text)
    denied = privilege_error(f"attach {program}", error.errno, attach_capabilities(section, error.errno))
    if denied:
        return denied
    from .attach_target import target_fault
    from .libbpf_messages import explain_attach

    why, fix = _explain_errno(error.errno, ATTACH_REASONS, ask_kernel(section), section)
    fault = explain_attach(text) or target_fault(error.errno, section, request or {})
    if fault:
        why, fix = f"({errno_text(error.errno)}): {fault.what}", fault.fix or TRY_ANOTHER
    elif fix in (*OTHER_KINDS, ask_kernel(section)):
        from .older_kernel import section_note

        fix = section_note(section) or fix
    what = f"can't attach {program} {why}"
    return AttachError(what, fix=fix, details=details, errno=error.errno, program=program)


def ask_kernel(section: str) -> str:
    """Returns the next step for a refusal that nothing explains: whether this kernel attaches that kind at all."""
    from ..kernel.versions import section_kind

    kind = section_kind(section)
    named = f" {kind.section}" if kind else ""
    return f"ask whether this kernel attaches such programs: {COMMAND} probe{named}; if so, the target is at fault"


def last_lines(text: str) -> tuple[str, ...]:
    """Returns libbpf's last lines without a wrong guess: kernels no longer count BPF memory by `ulimit -l`."""
    from ..kernel.host import kernel_is_before

    guess = "" if kernel_is_before("5.11") else "try raising 'ulimit -l'"
    return tuple(line for line in text.splitlines() if line.strip() and not (guess and guess in line))[-20:]
