"""Starts the comparison of types at functions, CO-RE relocations, maps, global data and externs."""

from collections.abc import Callable
from itertools import zip_longest

from ..btf.ext import CoreKind, FuncInfo, access_path, core_type_name
from ..btf.reader import Btf
from ..btf.types import ENUMS, FUNC_GLOBAL, Kind, SectionVar, Type
from .code import Parsed
from .members import struct_name, whole_members
from .types import Level, TypeComparison

# What libbpf and the kernel look into beyond kind and name: bpf_core_types_match, and bpf_obj_new's type id.
WHOLE_KINDS = (CoreKind.TYPE_MATCHES, CoreKind.TYPE_ID_LOCAL)
# Of kfuncs and typed ksyms libbpf matches the kinds down to what pointers point to: bpf_core_types_are_compat.
SECTION_LEVELS = {".ksyms": Level.COMPLETE}
Differ = Callable[[str, str], None]


def start_at_functions(full: Parsed, small: Parsed, types: TypeComparison, differ: Differ) -> None:
    """Compares where the functions start, by name, and meets their types."""
    ours, theirs = _functions(full), _functions(small)
    for key in sorted({*ours, *theirs}):
        text = f"function {key[1]} in section {key[0]}"
        places = [f"{rows[key].offset:#x}" if key in rows else "nowhere" for rows in (ours, theirs)]
        if places[0] != places[1]:
            differ(f"{text}: starts at {' != '.join(places)}", "")
        if key in ours and key in theirs:
            types.enqueue(ours[key].type, theirs[key].type, Level.NAMED, text)
            if key[0] == ".text" or key[0].startswith("freplace"):
                _start_at_arguments(full.btf, small.btf, ours[key].type, theirs[key].type, types)


def _functions(parsed: Parsed) -> dict[tuple[str, str], FuncInfo]:
    """Returns the functions by section and name."""
    return {(row.section, parsed.btf[row.type].name): row for row in parsed.ext.funcs}


def _start_at_arguments(full: Btf, small: Btf, one: int, other: int, types: TypeComparison) -> None:
    """Meets what pointers of global subprograms and freplace programs point to: the kernel takes sizes from there.

    Its source is kernel/bpf/btf.c, btf_prepare_func_args.
    """
    if full[one].kind != Kind.FUNC or full[one].linkage != FUNC_GLOBAL:
        return
    for ours, theirs in zip(full[full[one].type].params, small[small[other].type].params, strict=False):
        targets = full.resolve(ours.type), small.resolve(theirs.type)
        if all(target.kind == Kind.PTR for target in targets):
            edge = f"argument {ours.name} of {full[one].name}"
            types.enqueue(targets[0].type, targets[1].type, Level.WHOLE, edge)


def start_at_core(full: Parsed, small: Parsed, types: TypeComparison, differ: Differ) -> None:
    """Compares the CO-RE relocations of each section in their order, and meets their types."""
    for section in sorted({*full.core, *small.core}):
        ours, theirs = (_core_texts(parsed, section, types.exact) for parsed in (full, small))
        differing = [pair for pair in zip_longest(ours, theirs, fillvalue="nothing") if pair[0] != pair[1]]
        if differing:
            more = f", and {len(differing) - 1} more there" if len(differing) > 1 else ""
            differ(f"CO-RE: {section} {' != '.join(differing[0])}{more}", "")
        for one, other in zip(full.core.get(section, ()), small.core.get(section, ()), strict=False):
            names = core_type_name(full.btf, one.type), core_type_name(small.btf, other.type)
            if one.kind == other.kind and names[0] == names[1]:
                level = Level.WHOLE if one.kind in WHOLE_KINDS else Level.COMPLETE
                types.enqueue(one.type, other.type, level, f"CO-RE: {section} +{one.offset:#x}")


def _core_texts(parsed: Parsed, section: str, exact: bool) -> list[str]:
    """Returns place, kind and path of each relocation; in `exact` the path in numbers, too."""
    rows = parsed.core.get(section, ())
    texts = (f"+{row.offset:#x}: {row.kind.name.lower()} of {access_path(parsed.btf, row)}" for row in rows)
    return [f"{text} ({row.access})" if exact else text for text, row in zip(texts, rows, strict=True)]


def start_at_sections(full: Btf, small: Btf, types: TypeComparison, differ: Differ) -> None:
    """Compares the DATASECs' variables by name, place and size, and meets their types; maps are looked into."""
    ours, theirs = ({kind.name: kind for kind in btf if kind.kind == Kind.DATASEC} for btf in (full, small))
    for name in sorted({*ours, *theirs}):
        if name not in ours or name not in theirs:
            whose, of, where = (full, ours, "the minimized") if name in ours else (small, theirs, "the full")
            held = ", ".join(sorted(_variables(whose, of[name])))
            differ(f"BTF of section {name} ({held}) is missing in {where} object", "")
            continue
        if ours[name].size != theirs[name].size:
            differ(f"BTF of section {name}: size {ours[name].size} != {theirs[name].size}", "")
        mine, other = _variables(full, ours[name]), _variables(small, theirs[name])
        for variable in sorted({*mine, *other}):
            if variable not in mine or variable not in other or mine[variable][1:] != other[variable][1:]:
                texts = (_placed(rows.get(variable)) for rows in (mine, other))
                differ(f"section {name}: {variable}: {' != '.join(texts)}", "")
            if variable in mine and variable in other:
                one, two = mine[variable].type, other[variable].type
                types.enqueue(one, two, SECTION_LEVELS.get(name, Level.WHOLE), f"variable {variable}")
                if name == ".maps":
                    _start_at_map(full[one], small[two], f"map {variable}", types, differ)


def _variables(btf: Btf, section: Type) -> dict[str, SectionVar]:
    return {btf[row.type].name: row for row in section.variables}


def _placed(row: SectionVar | None) -> str:
    return f"{row.size} bytes at {row.offset}" if row else "nothing"


def _start_at_map(
    full: Type, small: Type, name: str, types: TypeComparison, differ: Differ, nested: bool = False
) -> None:
    """Names what differs in a map's declaration, and meets what its members point to.

    That is the key and the value, whose layout the kernel takes in whole, and a ring buffer's record, which a skeleton
    takes from the elements of `type`.
    """
    words, members = whole_members(full.btf.resolve(full.type), small.btf.resolve(small.type))
    for text in words:
        differ(f"{name}: {text}", "")
    for mine, theirs in members:
        numbers = _number(full.btf, mine.type), _number(small.btf, theirs.type)
        if numbers[0] != numbers[1]:
            differ(f"{name}: {mine.name} {numbers[0]} != {numbers[1]}", "")
            continue
        one, other = full.btf.resolve(mine.type), small.btf.resolve(theirs.type)
        if one.kind == other.kind == Kind.PTR:
            _start_at_pointee(one, other, f"{name}: {mine.name}", types, differ)
        elif mine.name == "values" and not nested and one.kind == other.kind == Kind.ARRAY:
            inner = full.btf.resolve(one.type), small.btf.resolve(other.type)
            _start_at_map(*inner, f"{name}.inner", types, differ, nested=True)


def _start_at_pointee(full: Type, small: Type, name: str, types: TypeComparison, differ: Differ) -> None:
    sizes = full.btf.size_of(full.type), small.btf.size_of(small.type)
    if sizes[0] != sizes[1]:
        differ(f"{name} size {sizes[0]} != {sizes[1]}", struct_name(full.btf, full.type))
    types.enqueue(full.type, small.type, Level.WHOLE, name)


def _number(btf: Btf, number: int) -> int | None:
    """Returns the number that a `__uint` or `__ulong` member states; None for another member."""
    kind = btf.resolve(number)
    if kind.kind in ENUMS and kind.count == 1:
        return kind.values[0].value
    target = btf.resolve(kind.type) if kind.kind == Kind.PTR else kind
    return target.length if kind.kind == Kind.PTR and target.kind == Kind.ARRAY else None


def start_at_containers(full: Btf, small: Btf, types: TypeComparison) -> None:
    """Meets what `contains:TYPE:member` tags name: the kernel looks lists' and trees' elements up by that name."""
    for kind in full:
        if kind.kind == Kind.DECL_TAG and kind.name.startswith("contains:"):
            name = kind.name.split(":")[1]
            one, other = full.find(name, Kind.STRUCT), small.find(name, Kind.STRUCT)
            if one and other:
                types.enqueue(one.id, other.id, Level.WHOLE, f"struct {name}")
