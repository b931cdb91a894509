"""Tells by a kernel's functions with which options it was built: without one, a kind of program can't be attached.

BTF lists all functions that aren't inlined since pahole 1.22 or so; before, those alone that ftrace may trace. TRACED
tells the two apart: it is compiled without ftrace, as are the functions of the options.
"""

from collections.abc import Iterator
from typing import NamedTuple

from ..spec.object import ProgramSpec
from .kernel import Kernel
from .problem import Problem
from .targets import PROBES, Target

UNTRACED = "trace_event_raw_init"  # kernel/trace/trace_events.c


class Option(NamedTuple):
    """An option of the kernel's, a function that it brings, and the first Linux with both."""

    name: str
    function: str
    kernel: str


KPROBE_EVENTS = Option("CONFIG_KPROBE_EVENTS", "create_local_trace_kprobe", "4.17")
UPROBES = Option("CONFIG_UPROBES", "uprobe_mmap", "3.5")
FPROBE = Option("CONFIG_FPROBE", "register_fprobe_ips", "5.18")
OPTIONS = {
    **dict.fromkeys(PROBES, KPROBE_EVENTS),
    **dict.fromkeys(("kprobe.multi", "kretprobe.multi", "kprobe.session"), FPROBE),
    **dict.fromkeys(("uprobe", "uretprobe", "usdt", "uprobe.multi", "uretprobe.multi", "uprobe.session"), UPROBES),
    "netfilter": Option("CONFIG_NETFILTER_BPF_LINK", "bpf_nf_link_attach", "6.4"),
    "netkit": Option("CONFIG_NETKIT", "netkit_link_attach", "6.7"),
}
INSTEAD = {
    FPROBE: 'SEC("?kprobe/FUNCTION")  // one for each function, for the others',
    KPROBE_EVENTS: 'SEC("?fentry/FUNCTION")  // for the others',
}


def option_problems(program: ProgramSpec, kernel: Kernel) -> Iterator[Problem]:
    """Yields the option without which a kernel was built that has what a program needs to be attached."""
    target = Target.of(program.section)
    option = OPTIONS.get(target.kind)
    if option and kernel.is_at_least(option.kernel) and _is_without(kernel, option.function):
        fix = (f'SEC("?{target.kind}…")  // and load it only where the kernel has it', INSTEAD.get(option, ""))
        there = f"it was built without {option.name}"
        yield Problem("program", f'SEC("{target.kind}")', there, tuple(filter(None, fix)))
    elif target.kind in PROBES and target.name and "+" not in target.name and _has_unprobed_entry(kernel):
        yield _unprobed(target)


def _is_without(kernel: Kernel, function: str) -> bool:
    """Returns True if a kernel, of which BTF lists all functions, doesn't have one."""
    return bool(kernel.function(UNTRACED)) and not kernel.function(function)


def _has_unprobed_entry(kernel: Kernel) -> bool:
    """Returns True for riscv64 where ftrace owns the first instruction of functions and kprobes don't go through it.

    check_ftrace_location() of kernel/kprobes.c refuses a kprobe there without CONFIG_KPROBES_ON_FTRACE, which brings
    kprobe_ftrace_handler. Where ftrace_call_adjust is a function, ftrace owns the second one.
    """
    entry_is_traced = bool(kernel.function("ftrace_make_nop")) and not kernel.function("ftrace_call_adjust")
    return kernel.arch == "riscv64" and entry_is_traced and _is_without(kernel, "kprobe_ftrace_handler")


def _unprobed(target: Target) -> Problem:
    there = "ftrace has the first instruction of each function there, and CONFIG_KPROBES_ON_FTRACE is off: EINVAL"
    function = f"__riscv_sys_{target.name}" if "syscall" in target.kind else target.name
    fix = f'SEC("fexit/{function}")'
    if "ret" not in target.kind:
        fix = f'SEC("fentry/{function}")  // or "kprobe/{function}+8", where the arguments still are where they were'
    return Problem("program", f"{target.kind}/{target.name}", there, (fix,))
