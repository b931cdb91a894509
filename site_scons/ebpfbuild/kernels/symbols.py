"""Checks what an object takes from a kernel by name: kfuncs, variables, and the structs of struct_ops."""

from collections.abc import Iterator

from ..btf.c_text import declaration
from ..btf.types import COMPOSITES, Kind, Type
from ..core_relo.compatible import types_fit
from ..core_relo.names import essential_name, resolved_size
from ..dead_code.values import SOMEWHERE, Known
from ..errors import CoreRelocationError
from ..spec.object import Extern, ObjectSpec, StructOpsSpec
from .kernel import Kernel, module_problem
from .problem import Problem

NO_OWN_BTF = "it has no BTF of its own, by which symbols and structs are found"


def ksym_values(spec: ObjectSpec, kernel: Kernel) -> dict[str, Known]:
    """Returns what the addresses of an object's kernel symbols are: 0 for a weak one that the kernel lacks.

    One without a type is looked up in kallsyms, which isn't known; nor is if a module that has it is loaded.
    """
    return {
        each.name: SOMEWHERE if _found(spec, each, kernel) else 0
        for each in spec.ksyms
        if (each.function or not _is_untyped(spec, each)) and not _in_module(spec, each, kernel)
    }


def symbol_problems(spec: ObjectSpec, kernel: Kernel) -> Iterator[Problem]:
    """Yields the kernel symbols and structs without which libbpf doesn't load the object."""
    for each in spec.ksyms:
        if each.weak or (not each.function and _is_untyped(spec, each)):
            continue
        if _found(spec, each, kernel):
            continue
        module = _in_module(spec, each, kernel)
        yield module_problem(_kind(each), each.name, module) if module else missing_symbol(spec, each, kernel)
    for ops in spec.struct_ops:
        found = _struct_ops_problems(spec, ops, kernel)
        yield from map(Problem.unless_asked, found) if ops.section.startswith("?") else found


def missing_symbol(spec: ObjectSpec, extern: Extern, kernel: Kernel) -> Problem:
    """Returns the problem of a kfunc or variable that a kernel lacks, or has as another type."""
    local = declaration(spec.btf, extern.type, extern.name)
    named = _named(extern, kernel) or next(iter(_in_modules(extern, kernel)), None)
    there = f"`{declaration(named.btf, named.type, named.name)}`, the program `{local}`" if named else "no such symbol"
    there = there if kernel.has_own_btf else NO_OWN_BTF
    fix = (
        f"extern {local} __ksym __weak;",
        f"if (bpf_ksym_exists({extern.name})) …  // around every use of it",
    )
    return Problem(_kind(extern), extern.name, there, fix)


def _kind(extern: Extern) -> str:
    return "kfunc" if extern.function else "ksym"


def _in_module(spec: ObjectSpec, extern: Extern, kernel: Kernel) -> Type | None:
    """Returns a module's symbol that fits, where the kernel itself has none of that name."""
    if _named(extern, kernel) or not kernel.has_own_btf:
        return None
    return next((each for each in _in_modules(extern, kernel) if _fits(spec, extern, each)), None)


def _in_modules(extern: Extern, kernel: Kernel) -> list[Type]:
    return kernel.in_modules(*_looked_up(extern))


def _looked_up(extern: Extern) -> tuple[str, Kind]:
    """Returns the name and kind by which libbpf looks a symbol up; a function's ___flavor doesn't count."""
    return (essential_name(extern.name), Kind.FUNC) if extern.function else (extern.name, Kind.VAR)


def _is_untyped(spec: ObjectSpec, extern: Extern) -> bool:
    return spec.btf.resolve(extern.type).kind == Kind.VOID


def _named(extern: Extern, kernel: Kernel) -> Type | None:
    return kernel.btf.find(*_looked_up(extern))


def _found(spec: ObjectSpec, extern: Extern, kernel: Kernel) -> bool:
    """Returns True if a kernel has a symbol of a type that fits (libbpf: bpf_object__resolve_ksym_func_btf_id)."""
    named = _named(extern, kernel)
    return named is not None and kernel.has_own_btf and _fits(spec, extern, named)


def _fits(spec: ObjectSpec, extern: Extern, found: Type) -> bool:
    try:
        if extern.function:
            return types_fit(spec.btf[extern.type], found.btf[found.type])
        return types_fit(spec.btf.resolve(extern.type), found.btf.resolve(found.type))
    except CoreRelocationError:
        return False


def _struct_ops_problems(spec: ObjectSpec, ops: StructOpsSpec, kernel: Kernel) -> Iterator[Problem]:
    """Yields what keeps a struct_ops map from being made (libbpf: bpf_map__init_kern_struct_ops)."""
    local = spec.btf.resolve(ops.type)
    name = essential_name(local.name)
    there = kernel.btf.find(name, Kind.STRUCT)
    if there is None or not kernel.has_own_btf or kernel.btf.find(f"bpf_struct_ops_{name}", Kind.STRUCT) is None:
        fix = ('SEC("?.struct_ops")  // and have the map made only where the kernel has it',)
        why = "no struct_ops of that name in its vmlinux" if kernel.has_own_btf else NO_OWN_BTF
        yield Problem("struct_ops", f"struct {name}", why, fix)
        return
    members = {member.name: member for member in there.members}
    for member in local.members:
        size = resolved_size(spec.btf[member.type]) or 0
        is_set = any(ops.data[member.offset : member.offset + size]) or any(
            program.member == member.name for program in ops.programs
        )
        theirs = members.get(member.name)
        what = f"struct {name}: {member.name}"
        fix = (f"struct {name}___old {{ … }};  // without {member.name}, in a map of its own for such kernels",)
        if theirs is None:
            if is_set:
                yield Problem("struct_ops", what, f"struct {name} has no {member.name}", fix)
            continue
        one, other = spec.btf.resolve(member.type), kernel.btf.resolve(theirs.type)
        fits = one.kind == other.kind and (one.kind == Kind.PTR or resolved_size(one) == resolved_size(other))
        if not fits and (is_set or one.kind not in COMPOSITES):
            shown = declaration(kernel.btf, theirs.type, theirs.name)
            yield Problem("struct_ops", what, f"`{shown}`", fix)
