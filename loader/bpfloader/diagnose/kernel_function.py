"""Explains why a probe can't be at a function of the kernel, by what /proc/kallsyms and tracefs have of it."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from functools import partial
from typing import Optional

from ..btf.kernel import kernel_names, kernel_types
from ..btf.path import KERNEL_BTF
from ..btf.reader import FUNC
from ..errors import Explanation
from ..kernel.host import kernel_config, kernel_lines
from ..kernel.tracefs import TRACING
from ..suggest import SHOWN_NAMES, suggestion

Fault = Optional[Explanation]  # None if the fault isn't known
KALLSYMS = "/proc/kallsyms"
TRACEABLE = [place.replace("events", "available_filter_functions") for place in TRACING]
BLACKLIST = "/sys/kernel/debug/kprobes/blacklist"
MISSING = (errno.ENOENT, errno.ESRCH, errno.EINVAL)
# The compiler's names for what it made of a function: a copy with fewer arguments, with some of them constant, a part
# that was split off, a static function that was made unique (GCC's tree-sra, ipa-cp, ipa-split; LLVM's ThinLTO).
COPY = re.compile(r"(\.(isra|constprop|part|llvm)\.\d+)+$")
# The functions of system calls: sys_x, or of a kernel whose arch has wrappers, such as __x64_sys_x.
SYSTEM_CALL = re.compile(r"(?:__[a-z0-9]+_)?sys_(\w+)")


def kernel_function_fault(number: int, function: str, listed: Iterable[str] = (), at_entry: bool = False) -> Fault:
    """Explains a refused kprobe at a function, or of many at a pattern or at those that are listed.

    `at_entry` says that the one was to be at the function's first instruction. Returns None where none of these files
    tells a fault.
    """
    if "*" in function or "?" in function:
        return _pattern_fault(function) if number in MISSING else None
    for name in [function] if function else listed:
        if found := _one_fault(number, name, bool(listed)):
            return found
    return _entry_fault(function) if at_entry and function and number == errno.EINVAL else None


def _one_fault(number: int, function: str, many: bool) -> Fault:
    if number == errno.EADDRNOTAVAIL:
        what = f"this kernel has several functions {function}"
        return Explanation(what, "choose one by its address in /proc/kallsyms: kprobe.multi, addresses=[…]")
    if number not in MISSING:
        return None
    names = _kallsyms() or frozenset(kernel_names(kernel_types(KERNEL_BTF), FUNC))
    if not names or function in names:
        return _untraceable_fault(function, many)
    copies = copies_of(function, names)
    what = f"this kernel has no function {function}"
    if copies:
        which = "that name" if len(copies) == 1 else "one of these names"
        fix = f"attach by {which}; the compiler made it of {function}, and its arguments may be others"
        return Explanation(f"{what}; it has {', '.join(copies)}", fix)
    return Explanation(what, suggestion(function, names, "/proc/kallsyms lists those that it has"))


def system_call_fault(call: str) -> Fault:
    """Explains that libbpf finds no function of a system call, where kallsyms tells what there is.

    On a kernel without wrappers it takes __se_sys_CALL, which a call without arguments doesn't have (SYSCALL_DEFINE0).
    """
    calls: dict[str, str] = {}
    for name in sorted(_kallsyms()):
        if (found := SYSTEM_CALL.fullmatch(name)) and not name.startswith(("__se_", "__do_")):
            calls[found[1]] = name
    if not calls:
        return None
    if call in calls:
        what = f"libbpf doesn't find the function of the system call {call}, which is {calls[call]} here"
        return Explanation(what, f'take SEC("kprobe/{calls[call]}")')
    return Explanation(f"this kernel has no system call {call}", suggestion(call, calls, "see man 2 syscalls"))


def copies_of(function: str, names: Iterable[str] | None = None) -> list[str]:
    """Returns the names of what the compiler made of a function, among those of kallsyms or others."""
    among = _kallsyms() if names is None else names
    return sorted(each for each in among if each.startswith(f"{function}.") and COPY.search(each))[:SHOWN_NAMES]


def _untraceable_fault(function: str, many: bool) -> Fault:
    """Explains that the kernel has a function at which it takes no probe."""
    blacklisted = kernel_lines(BLACKLIST, lambda line: line.split("\t")[-1])
    if function in blacklisted:
        fix = f"take a function that calls it: {BLACKLIST} lists those that are excluded"
        return Explanation(f"this kernel takes no probe at {function}", fix)
    traceable = _traceable() if many else frozenset()
    if traceable and function not in traceable:
        what = f"{function} is in /proc/kallsyms alone, and can't be traced by many at once"
        return Explanation(what, 'take SEC("kprobe") for it, or a function of available_filter_functions')
    return None


def _entry_fault(function: str) -> Fault:
    """Explains that ftrace has the function's entry for itself (check_ftrace_location of kernel/kprobes.c)."""
    if function not in _traceable() or "KPROBES_ON_FTRACE" in kernel_config():
        return None
    what = f"ftrace has the entry of {function}, and this kernel takes no kprobe there"
    return Explanation(f"{what}: it was built without CONFIG_KPROBES_ON_FTRACE", "take fentry, or a tracepoint")


def _pattern_fault(pattern: str) -> Fault:
    """Explains that no function matches a pattern, or only such as can't be traced."""
    matching = partial(fnmatchcase, pat=pattern)
    names = _kallsyms()
    known = sorted(filter(matching, names))
    if names and not known:
        what = f"no function of this kernel matches {pattern}"
        return Explanation(what, "/proc/kallsyms lists those that it has")
    traceable = _traceable()
    if not known or not traceable or any(map(matching, traceable)):
        return None
    named = ", ".join(known[:SHOWN_NAMES])
    what = f"what matches {pattern} is in /proc/kallsyms alone, and can't be traced by many at once: {named}"
    return Explanation(what, 'take SEC("kprobe") for one, or a pattern for functions of available_filter_functions')


def _kallsyms() -> frozenset[str]:
    return kernel_lines(KALLSYMS, _function_name)


def _function_name(line: str) -> str:
    """Returns the name in a line of kallsyms; empty for what is no function."""
    _, kind, name, *_ = [*line.split(), "", "", ""]
    return name if kind in "tTwW" else ""


def _traceable() -> frozenset[str]:
    """Returns the functions that ftrace knows; none without tracefs."""
    every = (kernel_lines(path, lambda line: line.partition(" ")[0]) for path in TRACEABLE)
    return next(filter(None, every), frozenset())
