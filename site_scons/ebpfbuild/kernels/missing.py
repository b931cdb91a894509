"""Says what a kernel has in the place of a field, type or enumerator that a program asks for, and what to write."""

from collections.abc import Iterator
from difflib import get_close_matches
from typing import NamedTuple

from ..btf.c_text import declaration
from ..btf.ext import ENUM_KINDS, FIELD_KINDS, core_type_name
from ..btf.reader import Btf
from ..btf.types import C_KEYWORDS, COMPOSITES, ENUMS, Kind, Member, Type
from ..core_relo.access import Access, Step
from ..core_relo.candidates import candidates, match
from ..core_relo.names import essential_name, same_kind
from ..errors import BtfError, CoreRelocationError
from .flavors import flavored_structs
from .kernel import Kernel, module_problem
from .moves import NONE, Moved, first_of, members_of, moved_field, moved_type
from .problem import Problem

SCALARS = (Kind.INT, Kind.PTR, Kind.FLOAT, *ENUMS)
MAX_NEAR = 3
CORE = "__attribute__((preserve_access_index))"


class Lost(NamedTuple):
    """The place where an access gets lost: the kernel's struct, the step that it lacks, a member so named if any.

    `is_shorter` is True for an array that has no element of the number that is asked for.
    """

    struct: Type
    step: Step
    member: Member | None
    is_shorter: bool = False


def missing(access: Access, kernel: Kernel, line: str) -> Problem:
    """Returns the problem of a relocation for which a kernel has nothing that matches."""
    local = access.root.btf
    root = core_type_name(local, access.root.id)
    found = candidates(access.root, kernel.btf)
    if not found:
        found = [kind for kind in kernel.in_modules(essential_name(access.root.name)) if same_kind(kind, access.root)]
        if any(_has(access, kind) for kind in found):
            return module_problem("type", root, found[0])._replace(line=line)
    if not found:
        return _missing_type(access, root, kernel, line)
    if access.kind in ENUM_KINDS:
        name = access.steps[0].name
        values = [value.name for value in found[0].btf.resolve(found[0].id).values]
        near = get_close_matches(name, values, MAX_NEAR, 0.75)
        has = f"has {' and '.join(near)}" if near else f"{root} has {len(values)} other values"
        fix = (f"if (bpf_core_enum_value_exists({root}, {name})) …",)
        return Problem("enum", f"{root}: {name}", has, fix, line)
    if access.kind not in FIELD_KINDS:
        return Problem("type", root, f"its {root} is another one", _type_fix(access, root), line)
    return _missing_field(access, found[0], kernel, root, line)


def _missing_type(access: Access, root: str, kernel: Kernel, line: str) -> Problem:
    there, fix = _other_kinds(access.root, kernel), _type_fix(access, root)
    moved = moved_type(essential_name(access.root.name), kernel)
    if moved and moved.form != NONE:
        there = f"{there.partition(';')[0]}, but struct {moved.form} ({moved.when})"
    elif moved:
        there = f"{there.partition(';')[0]} {moved.when}"
    note = (f"// else {moved.note}",) if moved and moved.note else ()
    return Problem("type", root, there, (*fix, *note), line)


def _has(access: Access, candidate: Type) -> bool:
    """Returns True if a type has what an access asks for."""
    try:
        return match(access, candidate) is not None
    except (BtfError, CoreRelocationError):
        return False


def _missing_field(access: Access, candidate: Type, kernel: Kernel, root: str, line: str) -> Problem:
    what = f"{root}: {access.text}"
    lost = _lost(access, candidate)
    if lost is None:
        return Problem("field", what, "its types differ on the way", (), line)
    btf = candidate.btf
    owner = core_type_name(btf, lost.struct.id) if lost.struct.name else "an anonymous struct"
    name = lost.step.name
    moved = moved_field(lost.struct, _rest(access, lost).text, kernel)
    when = f" ({moved.when})" if moved else ""
    if lost.member:
        mine = lost.step.type.members[lost.step.at]
        is_there = declaration(btf, lost.member.type, name)
        was = declaration(lost.step.type.btf, mine.type, name)
        there = f"{owner} has `{is_there}`, the program `{was}`{when}"
        fix = _moved_fix(access, lost, moved) if moved else _flavor_fix(access, lost, kernel, lost.member)
        return Problem("field", what, there, _guard(access) if lost.is_shorter else fix, line)
    if moved:
        return Problem("field", what, _moved_there(owner, name, lost, moved), _moved_fix(access, lost, moved), line)
    near = _near(btf, lost.struct, name)
    if near:
        text = declaration(btf, near[0].type, near[0].name)
        there = f"{owner} has no {name}, but `{text}`"
        return Problem("field", what, there, _flavor_fix(access, lost, kernel, near[0]), line)
    inside = next(_inside(btf, lost), "")
    if inside:
        fix = (f"if (!bpf_core_field_exists(x->{name}))  // then read x->{inside}",)
        return Problem("field", what, f"{owner} has no {name}; it may be `{inside}`", fix, line)
    return Problem("field", what, f"{owner} has no {name}", _guard(access), line)


def _guard(access: Access) -> tuple[str, ...]:
    return (f"if (bpf_core_field_exists({_read(access)})) …  // and do without it where it isn't",)


def _lost(access: Access, candidate: Type) -> Lost | None:
    """Returns where an access to a field gets lost in a kernel's type."""
    btf, kind = candidate.btf, candidate
    named: Lost | None = None
    for number, step in enumerate(access.steps):
        kind = btf.resolve(kind.id)
        if not step.name:
            if number and kind.kind == Kind.ARRAY:
                if named and step.at >= kind.length:
                    return named._replace(is_shorter=True)
                kind = btf[kind.type]
            elif number:
                return None
            continue
        member = next((each for each in members_of(kind) if each.name == step.name), None)
        named = Lost(kind, step, member)
        last = step is access.steps[-1]
        following = btf.resolve(member.type) if member else None
        if following is None or last or (access.steps[number + 1].name and following.kind not in COMPOSITES):
            return named
        if not access.steps[number + 1].name and following.kind != Kind.ARRAY:
            return named
        kind = following
    return None


def _near(btf: Btf, kind: Type, name: str) -> list[Member]:
    """Returns what a struct's member may be called now: with other underscores, as a part of it, or spelt otherwise.

    Since 6.11 an inode's i_ctime is in i_ctime_sec and i_ctime_nsec, for example.
    """
    members = {member.name: member for member in members_of(kind)}
    plain = [each for each in members if each.strip("_") == name.strip("_")]
    parts = [each for each in members if each.startswith(f"{name}_")]
    close = get_close_matches(name, members, MAX_NEAR, 0.8)
    return [members[each] for each in dict.fromkeys(plain + parts + close)]


def _inside(btf: Btf, lost: Lost) -> Iterator[str]:
    """Yields where a member's own struct, or one that it points to, has what the outer one lacks: `disk->bdi`.

    Members of the same name come first, then those that are or point to the same struct.
    """
    tag = _struct_name(lost.step.type.btf, lost.step.type.members[lost.step.at])
    by_type = []
    for member in members_of(lost.struct):
        inner, arrow = btf.resolve(member.type), "."
        if inner.kind == Kind.PTR:
            inner, arrow = btf.resolve(inner.type), "->"
        for each in members_of(inner):
            if each.name == lost.step.name:
                yield f"{member.name}{arrow}{each.name}"
            elif tag and _struct_name(btf, each) == tag:
                by_type.append(f"{member.name}{arrow}{each.name}")
    yield from by_type


def _struct_name(btf: Btf, member: Member) -> str:
    """Returns the name of the struct that a member is or points to; empty for another type."""
    kind = btf.resolve(member.type)
    kind = btf.resolve(kind.type) if kind.kind == Kind.PTR else kind
    return essential_name(kind.name) if kind.kind in (*COMPOSITES, Kind.FWD) else ""


def _flavor_fix(access: Access, lost: Lost, kernel: Kernel, now: Member) -> tuple[str, ...]:
    """Returns the lines that read a field as the program does, and elsewhere where it is now."""
    btf, name = lost.struct.btf, now.name
    tag = essential_name(lost.step.type.name)
    if not tag or not lost.struct.name:
        return (f"if (bpf_core_field_exists(x->{lost.step.name})) …",)
    keyword = C_KEYWORDS[lost.step.type.kind]
    release = "_".join(map(str, kernel.version)) if kernel.release else "new"
    flavor = f"{tag}___{release}"
    whole = btf.resolve(now.type).kind not in SCALARS
    reading = "read what you need of that" if whole else f"BPF_CORE_READ(({keyword} {flavor} *)x, {name})"
    before = _read(_rest(access, lost))
    return (
        *(f"{each} {CORE};" for each in flavored_structs(lost.struct, name, release)),
        f"if (bpf_core_field_exists({before}))  // then {before}, else {reading}",
    )


def _moved_there(owner: str, name: str, lost: Lost, moved: Moved) -> str:
    if moved.form == NONE:
        return f"{owner} has no {name} {moved.when}"
    member = _first_member(lost, moved)
    form = declaration(lost.struct.btf, member.type, member.name) if moved.form == member.name else moved.form
    return f"{owner} has no {name}, but `{form}` ({moved.when})"


def _first_member(lost: Lost, moved: Moved) -> Member:
    name = first_of(moved.form)
    return next(each for each in members_of(lost.struct) if each.name == name)


def _moved_fix(access: Access, lost: Lost, moved: Moved) -> tuple[str, ...]:
    """Returns the lines that read a field as the program does, and elsewhere by the path that the kernel has.

    The program's own form is asked for: the first member of a path may be there on all kernels, as a request's `q` is.
    """
    otherwise = _read(_rest(access, lost))
    note = (f"// {moved.note}",) if moved.note else ()
    if moved.form == NONE:
        return (f"if (bpf_core_field_exists({otherwise})) …  // else:", *note)
    member, btf = _first_member(lost, moved), lost.struct.btf
    tag, keyword = essential_name(lost.struct.name), C_KEYWORDS[lost.struct.kind]
    flavor = f"{tag}___{moved.flavor}"
    value = f"({keyword} {flavor} *)x"
    whole = moved.form == member.name and btf.resolve(member.type).kind not in SCALARS
    reading = "read what you need of that" if whole else f"BPF_CORE_READ({value}, {moved.form.replace('->', ', ')})"
    return (
        *(f"{each} {CORE};" for each in flavored_structs(lost.struct, moved.form, moved.flavor)),
        f"if (bpf_core_field_exists({otherwise}))  // then {otherwise}, else {reading}",
        *note,
    )


def _rest(access: Access, lost: Lost) -> Access:
    """Returns the steps from the struct where an access gets lost."""
    start = access.steps[0]._replace(at=0)
    return access._replace(steps=(start, *access.steps[access.steps.index(lost.step) :]))


def _read(access: Access) -> str:
    return f"x->{access.text}" if access.text and not access.text.startswith("[") else f"x{access.text}"


def _other_kinds(root: Type, kernel: Kernel) -> str:
    """Says what else a kernel has by a type's name; or that it may be a module's."""
    name = essential_name(root.name)
    try:
        others = [kind for kind in kernel.btf.named(name) if kind.kind not in (Kind.FUNC, Kind.VAR)]
        if others:
            verb = "only declares" if others[0].kind == Kind.FWD else "has instead"
            return f"{verb} {core_type_name(kernel.btf, others[0].id)}"
    except BtfError:
        pass
    return f"no type {name} {kernel.nowhere}"


def _type_fix(access: Access, root: str) -> tuple[str, ...]:
    return (f"if (bpf_core_type_exists({root})) …  // around every use of it",)
