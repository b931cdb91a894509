"""Checks what a program attaches to: functions, tracepoints and hooks of a kernel, and their arguments."""

from collections.abc import Mapping
from typing import NamedTuple

from ..btf.c_text import declaration
from ..btf.types import COMPOSITES, Kind, Type
from ..spec.object import ProgramSpec
from .kernel import Kernel, module_problem
from .moves import NONE, iterator_since, moved_function, parameters_since
from .problem import Problem

FUNCTIONS = ("fentry", "fexit", "fmod_ret", "fsession")
TRACEPOINTS = ("tp_btf", "raw_tp", "raw_tracepoint", "raw_tp.w", "raw_tracepoint.w")
PROBES = ("kprobe", "kretprobe", "ksyscall", "kretsyscall")
EVENTS = ("tp", "tracepoint")
HOOKS = {"lsm": "bpf_lsm_", "lsm_cgroup": "bpf_lsm_", "iter": "bpf_iter_"}
READ_RESULT = ("fexit", "fmod_ret", "fsession", "lsm", "lsm_cgroup")  # their last argument is the function's result
STABLE = ("pt_regs",)  # its layout is an arch's, and part of what user space relies on
INT_POINTERS = "5.17"  # the first Linux that lets a program have an argument `int *` (bpf: Allow access to int pointer)
INJECTS = "within_error_injection_list"  # lib/error-inject.c, of CONFIG_FUNCTION_ERROR_INJECTION
# The arches' names of a system call's function, as the kernel's arch/*/include/asm/syscall_wrapper.h makes them.
SYSCALLS = ("__x64_sys_", "__arm64_sys_", "__riscv_sys_", "__s390x_sys_", "__se_sys_", "sys_")


class Target(NamedTuple):
    """The target in a section's name: its kind without `.s`, and the kernel's name behind the `/`."""

    kind: str
    name: str

    @classmethod
    def of(cls, section: str) -> "Target":
        """Returns the target of a section such as `fentry.s/do_unlinkat`."""
        kind, _, name = section.removeprefix("?").partition("/")
        return cls(kind.removesuffix(".s"), name)


def target_problems(program: ProgramSpec, kernel: Kernel, arguments: Mapping[int, set[str]]) -> list[Problem]:
    """Returns what is wrong with a program's target on a kernel. `arguments` are those that the program reads.

    A target that only the caller names, at run time, isn't checked.
    """
    target = Target.of(program.section)
    module, _, name = target.name.rpartition(":")  # of a module's function, the module comes first
    if not name or set(name) & set("*?[+"):
        return []
    if target.kind in FUNCTIONS or target.kind in HOOKS:
        return _function_problems(target, module, name, kernel, arguments)
    if target.kind in TRACEPOINTS:
        traced, found = kernel.tracepoint(name), []
        if traced is None:
            traced = kernel.module_tracepoint(name)
            if traced is None:
                return [_no_tracepoint(target, name, kernel, unsure=False)]
            found = [module_problem("tracepoint", f"{target.kind}/{name}", traced)]
        typed = target.kind == "tp_btf"
        return found + (_argument_problems(target, name, traced, kernel, arguments) if typed else [])
    return _unsure_problems(target, name, kernel)


def _function_problems(
    target: Target, module: str, name: str, kernel: Kernel, arguments: Mapping[int, set[str]]
) -> list[Problem]:
    """Returns what is wrong with a function that BTF names, of the kernel or, as `module:name`, of a module."""
    function = HOOKS.get(target.kind, "") + name
    found = kernel.function(function) if module in ("", "vmlinux") else None
    told = []
    if found is None:
        kind = "hook" if target.kind in HOOKS else "function"
        of_modules = kernel.in_modules(function, Kind.FUNC, module=module)
        if not of_modules:
            return [_no_hook(target, name) if kind == "hook" else _no_function(target, name, kernel)]
        found = of_modules[0]
        told = [module_problem(kind, f"{target.kind}/{target.name}", found)]
    if target.kind == "iter":
        return told
    if target.kind == "fmod_ret":
        told += _modify_problems(target, name, kernel)
    return told + _argument_problems(target, name, found.btf[found.type], kernel, arguments)


def _modify_problems(target: Target, name: str, kernel: Kernel) -> list[Problem]:
    """Returns that BTF can't tell whether a function's result may be changed (check_attach_modify_return).

    Those named security_ may, and where errors can be injected every system call: the rest is in lists of the kernel's.
    """
    injects = bool(kernel.function(INJECTS))
    if name.startswith("security_") or (injects and name.startswith(SYSCALLS)):
        return []
    there = "BTF doesn't list whose result may be changed: what is named security_, and "
    there += "what /sys/kernel/debug/error_injection/list has" if injects else "without error injection few others"
    fix = (f'SEC("?fmod_ret/{target.name}")  // and load it only where the kernel takes it',)
    return [Problem("function", f"fmod_ret/{target.name}", there, fix, unsure=True)]


def plain_read_problem(program: ProgramSpec, kernel: Kernel, number: int, offset: int, line: str) -> Problem | None:
    """Returns the problem of a read of a struct's byte that no relocation puts where the kernel has it.

    None where the argument is no struct, or one that is the same on every kernel.
    """
    target = Target.of(program.section)
    proto, skipped = _prototype(target, kernel)
    if proto is None or number + skipped >= proto.count:
        return None
    kind = kernel.btf.resolve(proto.params[number + skipped].type)
    struct = kernel.btf.resolve(kind.type) if kind.kind == Kind.PTR else kind
    if struct.kind not in COMPOSITES or struct.name in STABLE:
        return None
    what = f"{target.kind}/{target.name}: byte {offset} of argument {number + 1}"
    there = f"it reads `struct {struct.name}` as the compiler saw it, without CO-RE"
    fix = (f"struct {struct.name} {{ … }} __attribute__((preserve_access_index));",)
    return Problem("field", what, there, fix, line, unsure=True)


def _prototype(target: Target, kernel: Kernel) -> tuple[Type | None, int]:
    """Returns the prototype of what a typed program attaches to, and how many of its parameters come before the first.

    None for a program of another kind, or a target that isn't there.
    """
    name = target.name.rpartition(":")[2]
    if target.kind == "tp_btf":
        return kernel.tracepoint(name), 1
    if target.kind in FUNCTIONS:
        found = kernel.function(name)
    else:
        found = kernel.function(HOOKS[target.kind] + name) if target.kind in ("lsm", "lsm_cgroup") else None
    return (kernel.btf[found.type] if found else None), 0


def _unsure_problems(target: Target, name: str, kernel: Kernel) -> list[Problem]:
    """Returns what BTF can't tell: probes take any symbol, and an event may have no type of its own."""
    if target.kind in PROBES and "+" not in name:
        wrapped = [prefix + name for prefix in SYSCALLS] if "syscall" in target.kind else [name]
        if not any(kernel.function(each) for each in wrapped):
            of_modules = kernel.in_modules(name, Kind.FUNC)
            if of_modules:
                return [module_problem("function", f"{target.kind}/{name}", of_modules[0])]
            return [_no_function(target, name, kernel)._replace(unsure=True)]
    if target.kind in EVENTS:
        event = name.rpartition("/")[2]
        call = event.removeprefix("sys_enter_").removeprefix("sys_exit_")
        is_syscall = name.startswith("syscalls/") and any(kernel.function(prefix + call) for prefix in SYSCALLS)
        if not is_syscall and kernel.tracepoint(event) is None:
            traced = kernel.module_tracepoint(event)
            if traced:
                return [module_problem("tracepoint", f"{target.kind}/{name}", traced)]
            return [_no_tracepoint(target, name, kernel, unsure=True)]
    return []


def _no_function(target: Target, name: str, kernel: Kernel) -> Problem:
    bare = name.lstrip("_")
    others = (f"{prefix}{bare}" for prefix in ("", "_", "__", "do_", "__do_", "ksys_"))
    near = [each for each in others if each != name and kernel.function(each)]
    there = f"no function {name} in its vmlinux, but {near[0]}" if near else f"no function {name} {kernel.nowhere}"
    moved = moved_function(name, kernel)
    if moved and moved.form != NONE:
        near = [moved.form, *(each for each in near if each != moved.form)]
        there = f"no function {name} in its vmlinux, but {moved.form} ({moved.when})"
    module = target.name.removesuffix(name).removesuffix(":")
    if module:
        near = [f"{found.btf.where}:{name}" for found in kernel.in_modules(name, Kind.FUNC)] + near
        there = f"no function {name} in the module {module}" + (f", but {near[0]}" if near else "")
    fix = [f'SEC("?{target.kind}/{target.name}")  // and load it only where the kernel has it']
    if near:
        fix += [f'SEC("?{target.kind}/{near[0]}")  // the same program, for the others']
    if moved and moved.note:
        fix += [f"// or {moved.note}"]
    return Problem("function", f"{target.kind}/{target.name}", there, tuple(fix))


def _no_hook(target: Target, name: str) -> Problem:
    fix = (f'SEC("?{target.kind}/{name}")  // and load it only where the kernel has it',)
    since = iterator_since(name) if target.kind == "iter" else ""
    came = f": it came with Linux {since}" if since else ""
    return Problem("hook", f"{target.kind}/{name}", f"no function {HOOKS[target.kind]}{name}{came}", fix)


def _no_tracepoint(target: Target, name: str, kernel: Kernel, unsure: bool) -> Problem:
    there = f"no tracepoint {name} {kernel.nowhere}"
    fix = (f'SEC("?{target.kind}/{name}")  // and load it only where the kernel has it',)
    return Problem("tracepoint", f"{target.kind}/{name}", there, fix, unsure=unsure)


def _argument_problems(
    target: Target, name: str, proto: Type, kernel: Kernel, arguments: Mapping[int, set[str]]
) -> list[Problem]:
    """Returns the arguments that a program reads and a function doesn't have, or has as another type."""
    btf, params = proto.btf, proto.params[1:] if target.kind == "tp_btf" else proto.params
    types = [btf.resolve(param.type) for param in params]
    if any(each.kind in COMPOSITES for each in types):  # a struct by value takes a slot for every 8 bytes
        return []
    has_result = target.kind in READ_RESULT and btf.resolve(proto.type).kind != Kind.VOID
    if has_result:
        types.append(btf.resolve(proto.type))
    shown, changed = declaration(btf, proto.id, name), parameters_since(name)
    result = f"; its result is argument {len(types)}" if target.kind == "fexit" and has_result else ""
    found = []
    for number, structs in sorted(arguments.items()):
        what = f"{target.kind}/{name}: argument {number + 1}"
        if number >= len(types):
            there = f"`{shown}` has no such argument{result}{changed}"
            found.append(Problem("argument", what, there, _argument_fix(target, name)))
        elif wrong := _is_no_struct(types[number], structs, kernel):
            found.append(Problem("argument", what, f"`{shown}`: {wrong}{result}{changed}", _argument_fix(target, name)))
    return found


def _is_no_struct(kind: Type, structs: set[str], kernel: Kernel) -> str:
    """Says why an argument can't be read as structs, or at all; empty where it can."""
    if kind.kind == Kind.PTR:
        inner = kind.btf.resolve(kind.type)
        if inner.kind == Kind.INT and not kernel.is_at_least(INT_POINTERS):
            return f"before {INT_POINTERS} a program can't have an argument `{declaration(inner.btf, inner.id)} *`"
        if inner.kind in (*COMPOSITES, Kind.VOID, Kind.FWD, Kind.FUNC_PROTO):
            return ""
    elif kind.kind == Kind.INT and kind.size == 8:
        return ""
    return f"it is no struct {' or '.join(sorted(structs))}" if structs else ""


def _argument_fix(target: Target, name: str) -> tuple[str, ...]:
    return (
        f'SEC("?{target.kind}/{name}")  // one program for each prototype, each with its own arguments,',
        "// and load the one that the kernel has: bpf.progs.NAME.autoload = True, in C bpf_program__set_autoload",
    )
