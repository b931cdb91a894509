"""Where the comparison of types starts: functions, CO-RE relocations, maps, global data and externs."""

from collections.abc import Callable

from .btf import Btf
from .btf_types import ENUMS, FUNC_GLOBAL, Kind, Type
from .btfext import CoreKind, CoreRelocation, access_path
from .prove_code import Parsed
from .prove_members import whole_members
from .prove_types import Level, TypeComparison

# What libbpf and the kernel look into beyond kind and name: bpf_core_types_match, and bpf_obj_new's type id.
WHOLE_KINDS = (CoreKind.TYPE_MATCHES, CoreKind.TYPE_ID_LOCAL)
# Of kfuncs and typed ksyms libbpf matches the kinds down to what pointers point to: bpf_core_types_are_compat.
SECTION_LEVELS = {".ksyms": Level.COMPLETE}
Differ = Callable[[str, str], None]


def start_at_functions(full: Parsed, small: Parsed, types: TypeComparison, differ: Differ) -> None:
    """Meets the functions that start at the same place."""
    ours, theirs = ({(row.section, row.offset): row.type for row in parsed.ext.funcs} for parsed in (full, small))
    for place in sorted({*ours, *theirs}):
        text = f"section {place[0]}: function at +{place[1]:#x}"
        if place in ours and place in theirs:
            types.meet(ours[place], theirs[place], Level.NAMED, text)
            if place[0] == ".text":
                _start_at_arguments(full.btf, small.btf, ours[place], theirs[place], types)
        else:
            differ(f"{text} is missing in {'the minimized' if place in ours else 'the full'} object", "")


def _start_at_arguments(full: Btf, small: Btf, one: int, other: int, types: TypeComparison) -> None:
    """What a global subprogram's pointers point to: the kernel takes the size from there (btf_prepare_func_args)."""
    if full[one].kind != Kind.FUNC or full[one].linkage != FUNC_GLOBAL:
        return
    for ours, theirs in zip(full[full[one].type].params, small[small[other].type].params, strict=False):
        targets = full.resolve(ours.type), small.resolve(theirs.type)
        if all(target.kind == Kind.PTR for target in targets):
            edge = f"argument {ours.name} of {full[one].name}"
            types.meet(targets[0].type, targets[1].type, Level.WHOLE, edge)


def start_at_core(full: Parsed, small: Parsed, types: TypeComparison, differ: Differ) -> None:
    """Compares the CO-RE relocations by place, kind and path in names, and meets their types."""
    ours, theirs = ({(row.section, row.offset): row for row in parsed.ext.relocations} for parsed in (full, small))
    for section, offset in sorted({*ours, *theirs}):
        one, other = ours.get((section, offset)), theirs.get((section, offset))
        texts = [_core_text(parsed.btf, row) for parsed, row in ((full, one), (small, other))]
        same_access = not types.exact or not one or not other or one.access == other.access
        if texts[0] != texts[1] or not same_access:
            texts = texts if same_access else [f"{text} ({row.access})" for text, row in zip(texts, (one, other))]
            name = full.btf.resolve(one.type).name if one else ""
            differ(f"CO-RE: {section} +{offset:#x}: {' != '.join(texts)}", name)
        if one and other and one.kind == other.kind:
            level = Level.WHOLE if one.kind in WHOLE_KINDS else Level.COMPLETE
            types.meet(one.type, other.type, level, f"CO-RE: {section} +{offset:#x}")


def _core_text(btf: Btf, row: CoreRelocation | None) -> str:
    return f"{row.kind.name.lower()} of {access_path(btf, row)}" if row else "nothing"


def start_at_sections(full: Btf, small: Btf, types: TypeComparison, differ: Differ) -> None:
    """Compares the DATASECs' variables by name, place and size, and meets their types; maps are looked into."""
    ours, theirs = ({kind.name: kind for kind in btf if kind.kind == Kind.DATASEC} for btf in (full, small))
    for name in sorted({*ours, *theirs}):
        if name not in ours or name not in theirs:
            differ(f"BTF of section {name} is missing in {'the full' if name in theirs else 'the minimized'} object", "")
            continue
        mine, other = _variables(full, ours[name]), _variables(small, theirs[name])
        for variable in sorted({*mine, *other}):
            if variable not in mine or variable not in other or mine[variable][1:] != other[variable][1:]:
                texts = (_placed(rows.get(variable)) for rows in (mine, other))
                differ(f"section {name}: {variable}: {' != '.join(texts)}", "")
            if variable in mine and variable in other:
                one, two = mine[variable][0], other[variable][0]
                types.meet(one, two, SECTION_LEVELS.get(name, Level.WHOLE), f"variable {variable}")
                if name == ".maps":
                    _start_at_map(full[one], small[two], f"map {variable}", types, differ)


def _variables(btf: Btf, section: Type) -> dict[str, tuple[int, int, int]]:
    return {btf[row.type].name: (row.type, row.offset, row.size) for row in section.variables}


def _placed(row: tuple[int, int, int] | None) -> str:
    return f"{row[2]} bytes at {row[1]}" if row else "nothing"


def _start_at_map(full: Type, small: Type, name: str, types: TypeComparison, differ: Differ, nested: bool = False) -> None:
    """Names what differs in a map's declaration, and meets its key and value, whose layout the kernel takes in whole."""
    one, other = full.btf.resolve(full.type), small.btf.resolve(small.type)
    for text in whole_members(one, other)[0]:
        differ(f"{name}: {text}", "")
    for mine, theirs in whole_members(one, other)[1]:
        numbers = _number(full.btf, mine.type), _number(small.btf, theirs.type)
        targets = full.btf.resolve(mine.type), small.btf.resolve(theirs.type)
        if numbers[0] != numbers[1]:
            differ(f"{name}: {mine.name} {numbers[0]} != {numbers[1]}", "")
        elif mine.name in ("key", "value") and all(target.kind == Kind.PTR for target in targets):
            _start_at_entry(full.btf, small.btf, targets, f"{name}: {mine.name}", types, differ)
        elif mine.name == "values" and not nested and all(target.kind == Kind.ARRAY for target in targets):
            inner = full.btf.resolve(targets[0].type), small.btf.resolve(targets[1].type)
            _start_at_map(*inner, f"{name}.inner", types, differ, nested=True)


def _start_at_entry(full: Btf, small: Btf, pointers, name: str, types: TypeComparison, differ: Differ) -> None:
    sizes = full.size_of(pointers[0].type), small.size_of(pointers[1].type)
    if sizes[0] != sizes[1]:
        differ(f"{name} size {sizes[0]} != {sizes[1]}", full.resolve(pointers[0].type).name)
    types.meet(pointers[0].type, pointers[1].type, Level.WHOLE, name)


def _number(btf: Btf, number: int) -> int | None:
    """The number that a `__uint` or `__ulong` member states; None for another member."""
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
                types.meet(one.id, other.id, Level.WHOLE, f"struct {name}")
