"""Tells from errno, libbpf's log and this process's capabilities why the kernel refused, and what to do next.

What it needs for that (the verifier's words, the kernel's BTF, the tables of versions) is imported when it's needed,
as its patterns are compiled: most programs load.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterable, Mapping

from ..errors import ANOTHER, ENOTSUPP, AttachError, BpfError, CallError, Explanation, LoadError, MissingBtfError, ObjectError, VerifierError, errno_text  # fmt: skip
from ..kernel.privileges import privilege_error, attach_capabilities, load_capabilities

# What libbpf says before and around the verifier's log (bpf_object_load_prog in libbpf.c; the same from 1.0 to 1.8).
LOG_BEGINS = r"prog '(?P<program>[^']*)': -- BEGIN PROG LOAD LOG --\n"
LOG_ENDS = "-- END PROG LOAD LOG --"
NO_BTF = r"Error loading vmlinux BTF|failed to find valid kernel BTF|vmlinux BTF is not found"
FAILED_PROGRAM = r"prog '(?P<program>[^']*)': (?:BPF program load failed|failed to load|missing BPF prog type)"
FAILED_MAP = r"map '(?P<map>[^']*)': failed to create"

NO_CLSACT = Explanation("this kernel has no clsact", "modprobe sch_ingress cls_bpf")
READ_ON = "see libbpf's messages"
READ_LOG = "read the end of its log (more of it is in this error's `log`)"
FEWER_SIGNALS = "open and load it again, without a timer or a process that sends it signals all the time"
LEFT_OUT = f"{READ_ON}; a program that this kernel can't take is left out by its autoload = False"
LOAD_REASONS = {
    errno.EPERM: Explanation("this kernel doesn't permit that kind of program", ANOTHER),
    errno.ENOENT: Explanation("this kernel has no such hook", ANOTHER),
    errno.ESRCH: Explanation("this kernel has no such function or tracepoint", ANOTHER),
    ENOTSUPP: Explanation("this kernel can't do that on this machine", ANOTHER),
}
ATTACH_REASONS = {
    errno.EPERM: Explanation("this kernel doesn't permit that way to attach", ANOTHER),
    errno.ENOENT: Explanation("this kernel has no such function, tracepoint or hook", ANOTHER),
    errno.ESRCH: Explanation("this kernel has no such function", ANOTHER),
    errno.EOPNOTSUPP: Explanation("this kernel doesn't support that way to attach", ANOTHER),
    ENOTSUPP: Explanation("this kernel can't do that on this machine", ANOTHER),
    errno.EBUSY: Explanation("another program is attached there", "detach it first"),
    errno.E2BIG: Explanation("no more programs can be attached there", "detach another first"),
    errno.EINVAL: Explanation("this kernel doesn't know that way to attach, or the target is no such thing", ANOTHER),
}


def _explained(number: int, reasons: Mapping[int, Explanation], fix: str, section: str = "") -> Explanation:
    """The errno with its reason, and the next step: what this kernel was built without, what this process lacks.

    `fix` is the next step where no other is known.
    """
    from ..kernel import host

    reason, fix = reasons.get(number, Explanation("", fix))
    options = host.missing_options(section)
    missing = host.missing_capabilities(attach_capabilities(section, number)) if number == errno.EPERM else ()
    if missing:
        unsure = "" if section else " if it is a network hook"
        fix = f"give the process {', '.join(missing)}{unsure}, or {ANOTHER}"
    elif options:
        reason, fix = f"this kernel was built without {', '.join(options)}", ANOTHER
    elif number == errno.EPERM:
        cause = host.denial_fix()
        if reason and not cause and host.has_all_options(section):
            reason += ", though it was built for it"
        fix = cause or fix
    elif number == errno.ENOMEM and host.memlock_limit() is not None and host.kernel_is_before("5.11"):
        fix = host.memlock_fix()
    return Explanation(f"({errno_text(number)}): {reason}" if reason else f"({errno_text(number)})", fix)


def load_refused(
    name: str, error: CallError, messages: Iterable[str], handle: int = 0, btf: str | None = None, data: bytes = b""
) -> BpfError:
    """The error for an object that doesn't load: whose fault it is, with the verifier's log or libbpf's last lines.

    `handle` is libbpf's object, to ask what its parts are; `btf` is the file that stands for the kernel's BTF; `data`
    is the object's bytes, to say what it uses that came with a later kernel.
    """
    said = "".join(messages)
    made = _load_refused(name, error, said, handle, btf)
    if data and isinstance(made, LoadError) and not isinstance(made, MissingBtfError):
        failed_map = re.search(FAILED_MAP, said)
        made.fix = _with_newer(made, data, (failed_map["map"],) if failed_map else ())
    return made


def _with_newer(made: LoadError, data: bytes, maps: tuple[str, ...]) -> str:
    """The next step of a refusal, and what the object uses that came with a later kernel than this one."""
    from .older_kernel import UNKNOWN, newer, note

    try:
        said = note(newer(data, made.what, (made.program,) if made.program else (), maps))
    except ObjectError:
        return made.fix
    if not said or " came with " in made.fix:
        return made.fix
    if UNKNOWN.search(made.what) or made.fix in (LEFT_OUT, ANOTHER):
        return said
    return f"{made.fix}; what it uses is newer than this kernel, too: {said}"


def _load_refused(name: str, error: CallError, said: str, handle: int, btf: str | None) -> BpfError:
    """What `load_refused` makes of libbpf's messages."""
    from .verifier_log import states_anything

    if error.errno == errno.EAGAIN:  # of bpf_check (kernel/bpf/verifier.c); its log ends anywhere
        what = f"can't load {name}: signals interrupted the verifier each time ({errno_text(error.errno)})"
        return LoadError(what, fix=FEWER_SIGNALS, details=lines(said), errno=error.errno)
    refused, failed_map = _verifier_log(said), re.search(FAILED_MAP, said)
    stated = refused is not None and states_anything(refused[1])
    if not stated:
        wanted = load_capabilities(failed_map["map"] if failed_map else "", handle)
        denied = privilege_error(f"load {name}", error.errno, wanted)
        if denied:
            return denied
    from ..btf.kernel import KERNEL_BTF

    if re.search(NO_BTF, said) and not os.path.exists(KERNEL_BTF):
        fix = "boot a kernel with CONFIG_DEBUG_INFO_BTF=y, or give its BTF: open(btf=path)"
        return MissingBtfError(f"can't load {name}: this kernel has no {KERNEL_BTF}", fix=fix, errno=error.errno)
    if refused and stated:
        return _verifier_error(name, error, *refused, btf or KERNEL_BTF)
    if failed_map:
        return _map_refused(name, failed_map["map"], error, said, handle)
    return _program_refused(name, error, said, handle)


def _verifier_log(said: str) -> tuple[str, tuple[str, ...]] | None:
    """(the program, the lines of its log), of the last program whose log libbpf shows."""
    begins = list(re.finditer(LOG_BEGINS, said))
    if not begins:
        return None
    start = begins[-1].end()
    end = said.find(LOG_ENDS, start)
    return begins[-1]["program"], tuple(said[start : end if end >= 0 else len(said)].splitlines())


def _verifier_error(name: str, error: CallError, program: str, log: tuple[str, ...], btf: str) -> VerifierError:
    """The error of a program whose log is there: the reason, the source line, a hint; CO-RE's in words of its own."""
    from ..btf.kernel import kernel_types
    from .core_relo import missing
    from .verifier_log import verdict

    reason, source, hint, shown = verdict(log)
    lacking = missing("\n".join(log[-20:]), kernel_types(btf))
    if lacking:
        reason, hint = f"CO-RE can't resolve {lacking.what}: {lacking.instead}", lacking.fix
    what = f"can't load {name}: the verifier refuses the program {program} ({errno_text(error.errno)})"
    what += f": {reason}" if reason else ""
    what += f", at {source}" if source else ""
    fix = hint or READ_LOG
    return VerifierError(what, program=program, log=log, shown=shown, fix=fix, errno=error.errno)


def _map_refused(name: str, of: str, error: CallError, said: str, handle: int) -> LoadError:
    """The error of a map that the kernel doesn't make: it doesn't know the type, or takes no such sizes."""
    from ..kernel.host import missing_capabilities, map_capabilities
    from ..kernel.map_type import MapType
    from ..libbpf.library import library
    from ..kernel.privileges import map_kind
    from .libbpf_messages import meaning
    from .verifier_log import too_old

    means = meaning(said, "", None)
    if means:  # no fault of its type or sizes: where it is to be pinned
        what = f"can't load {name}: the map {of} ({errno_text(error.errno)}): {means.what}"
        return LoadError(what, fix=means.fix, details=lines(said), errno=error.errno)
    what = f"can't load {name}: the kernel refuses the map {of} ({errno_text(error.errno)})"
    fix = _explained(error.errno, {}, "check its sizes and flags").fix
    if handle:
        at = library().bpf_object__find_map_by_name(handle, of.encode())
        number = library().bpf_map__type(at)
        kind = map_kind(at)
        sizes = f"max_entries {library().bpf_map__max_entries(at)}, key {library().bpf_map__key_size(at)} bytes"
        sizes += f", value {library().bpf_map__value_size(at)} bytes, flags {library().bpf_map__map_flags(at):#x}"
        what += f": {kind.name if kind else f'type {number}'} of {sizes}"
        fix = (kind and too_old(f"a map of type {kind.name}", kind.kernel)) or fix
        missing = missing_capabilities(map_capabilities(kind.name)) if kind and error.errno == errno.EPERM else ()
        if kind and missing:
            fix = f"give the process {', '.join(missing)}, which a map of type {kind.name} needs"
        if number == MapType.RINGBUF and error.errno == errno.EINVAL:  # which alone is sized in bytes
            fix = "give a ring buffer a power of two of whole pages as max_entries, and neither key nor value"
    return LoadError(what, fix=fix, details=lines(said), errno=error.errno)


def _program_refused(name: str, error: CallError, said: str, handle: int) -> LoadError:
    """The error of a program without a log, or of an object as a whole: libbpf's own words, and what they mean."""
    from ..btf.kernel import KERNEL_BTF, kernel_types
    from .libbpf_messages import meaning

    failed = re.search(FAILED_PROGRAM, said)
    program, section = failed["program"] if failed else "", ""
    if program and handle:
        from ..libbpf.library import library

        at = library().bpf_object__find_program_by_name(handle, program.encode())
        section = library().bpf_program__section_name(at).decode()
    refuses = f"the kernel refuses the program {program}" if program else "the kernel refuses the object"
    why, fix = _explained(error.errno, LOAD_REASONS if failed else {}, LEFT_OUT, section)
    means = meaning(said, section, kernel_types(KERNEL_BTF))
    if means:
        why, fix = f"({errno_text(error.errno)}): {means.what}", means.fix or fix
    what = f"can't load {name}: {refuses} {why}"
    return LoadError(what, fix=fix, details=lines(said), errno=error.errno, program=program)


def attach_refused(
    program: str,
    error: CallError,
    messages: Iterable[str],
    section: str = "",
    asked: Mapping[str, object] | None = None,
) -> BpfError:
    """The error for a program that doesn't attach; its section and what was asked for tell what is missing for it."""
    said = lines("".join(messages))
    denied = privilege_error(f"attach {program}", error.errno, attach_capabilities(section, error.errno))
    if denied:
        return denied
    from .attach_target import fault

    why, fix = _explained(error.errno, ATTACH_REASONS, READ_ON if said else ANOTHER, section)
    wrong = fault(error.errno, section, asked or {})
    if wrong:
        why, fix = f"({errno_text(error.errno)}): {wrong.what}", wrong.fix or ANOTHER
    elif fix in (READ_ON, ANOTHER):
        from .older_kernel import newer_section

        fix = newer_section(section) or fix
    what = f"can't attach {program} {why}"
    return AttachError(what, fix=fix, details=said, errno=error.errno, program=program)


def lines(said: str) -> tuple[str, ...]:
    """The last lines of what libbpf said, but for a wrong guess: kernels count no BPF memory by `ulimit -l` any more."""
    from ..kernel.host import kernel_is_before

    guess = "" if kernel_is_before("5.11") else "try raising 'ulimit -l'"
    return tuple(line for line in said.splitlines() if line.strip() and not (guess and guess in line))[-20:]
