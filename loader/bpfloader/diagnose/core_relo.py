"""Names the CO-RE access that this kernel can't resolve, and what the kernel has instead."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from ..btf.c_text import declaration
from ..btf.reader import ARRAY, COMPOSITES, ENUMS, FWD, KEYWORDS, PTR, TYPEDEF, Btf, Member, Type
from ..suggest import SHOWN_NAMES, suggestion

# libbpf's own line in the verifier's log: bpf_core_format_spec in relo_core.c, the same from 1.0 to 1.8.
MESSAGE = re.compile(
    r"failed to resolve CO-RE relocation <(?P<kind>\w+)> \[\d+\] (?P<keyword>\w+) (?P<name>[^\s.:\[]+)(?P<path>[^\s(]*)"
)
STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]")
SEARCH_DEPTH = 4  # nested structs to search for a field
GUARDS = {"field": "bpf_core_field_exists()", "type": "bpf_core_type_exists()",
          "enumval": "bpf_core_enum_value_exists()"}  # fmt: skip


class Unresolved(NamedTuple):
    """An access that CO-RE can't resolve (`struct sock.skc_state`), what this kernel has instead, the next step."""

    what: str
    instead: str
    fix: str


def unresolved_access(log: str, btf: Btf | None) -> Unresolved | None:
    """Reads libbpf's line about an unresolved relocation in a verifier's log; returns None if there is none.

    `btf` is the kernel's, None where it can't be read. Raises ObjectError for BTF that is malformed.
    """
    found = None
    for found in MESSAGE.finditer(log):
        pass
    if not found:
        return None
    keyword, name = found["keyword"].replace("enum64", "enum"), found["name"].split("___")[0]
    path = found["path"]
    what = f"{keyword} {name}".replace("typedef ", "") + path
    guard = next((text for key, text in GUARDS.items() if key in found["kind"]), GUARDS["field"])
    fix = f"guard it with {guard}, or read what this kernel has"
    return Unresolved(what, _instead(btf, keyword, name, path) if btf else "this kernel doesn't have it", fix)


def _instead(btf: Btf, keyword: str, name: str, path: str) -> str:
    """Returns what the kernel has of that name, or near it."""
    kinds = [kind for kind in btf.named(name) if kind.kind != FWD and _keyword(kind) == keyword]
    if not kinds:
        return f"this kernel has no {keyword} {name}{_near_names(name, _names_of_kind(btf, keyword))}"
    if "::" in path:
        return _enumerator(btf, kinds, name, path.strip(":"))
    return _field(btf, kinds[0], f"{keyword} {name}", [name for name, _ in STEP.findall(path)])


def _keyword(kind: Type) -> str:
    return KEYWORDS.get(kind.kind, "typedef" if kind.kind == TYPEDEF else "int")


def _names_of_kind(btf: Btf, keyword: str) -> list[str]:
    return sorted({kind.name for kind in btf if _keyword(kind) == keyword and kind.name})


def _enumerator(btf: Btf, kinds: list[Type], name: str, wanted: str) -> str:
    values = [value for kind in kinds for value, _ in btf.values(kind)]
    if wanted in values:
        return f"this kernel has it in an enum {name} of another kind"
    enums = [kind for kind in btf if kind.kind in ENUMS and wanted in (value for value, _ in btf.values(kind))]
    if enums:
        return f"this kernel has {wanted} in {'enum ' + enums[0].name if enums[0].name else 'an enum without a name'}"
    return f"this kernel's enum {name} has no {wanted}{_near_names(wanted, values)}"


def _near_names(name: str, among: list[str]) -> str:
    close = suggestion(name, among)
    return f" ({close})" if close else ""


def _field(btf: Btf, kind: Type, where: str, steps: list[str]) -> str:
    """Follows the names as libbpf does, through anonymous structs, up to the one that isn't there.

    A step is a member's name, "" for an array's element.
    """
    number = kind.id
    for index, name in enumerate(steps):
        current = btf.resolve(number)
        if not name:
            number = btf.element(current) if current.kind == ARRAY else number
            continue
        member = next((found.member for found in _reachable(btf, current, 0) if found.path == name), None)
        if member is None:
            return f"this kernel's {where} has no {name}{_elsewhere(btf, current, name)}"
        number = member.type
        if index + 1 < len(steps):
            where = _type_name(btf, btf.resolve(number)) or where
    if not steps:
        return f"this kernel's {where} is another kind of type"
    return f"this kernel has it as `{declaration(btf, number, name or 'it')}`, a type that doesn't fit"


def _elsewhere(btf: Btf, kind: Type, name: str) -> str:
    """Finds a field that its struct lacks: deeper in it, under a near name, or in other structs."""
    found = dict.fromkeys(each.path for each in _reachable(btf, kind, SEARCH_DEPTH))
    paths = sorted(found, key=lambda path: path.count("."))
    inside = [path for path in paths if path.endswith("." + name)]
    close = suggestion(name, (path for path in paths if "." not in path))
    if inside and (inside[0].count(".") == 1 or not close):
        return f": it is in {', '.join(inside[:SHOWN_NAMES])} there"
    hints = [close] if close else []
    structs = _struct_names(btf, btf.owners(name))
    if 0 < len(structs) <= SHOWN_NAMES:
        hints.append(f"{name} is in {', '.join(structs)}")
    return f" ({'; '.join(hints)})" if hints else ""


class ReachableMember(NamedTuple):
    """A member, and the path from a struct to it, such as `__sk_common.skc_daddr`."""

    path: str
    member: Member


def _reachable(btf: Btf, kind: Type, depth: int, inside: int = 0) -> Iterator[ReachableMember]:
    """Yields a struct's members, down to `depth` named structs by value and through anonymous ones."""
    if inside > 2 * SEARCH_DEPTH:
        return
    for member in btf.members(kind):
        inner = btf.resolve(member.type)
        if member.name:
            yield ReachableMember(member.name, member)
        if inner.kind in COMPOSITES and (depth or not member.name):
            start = f"{member.name}." if member.name else ""
            for path, found in _reachable(btf, inner, depth - bool(member.name), inside + 1):
                yield ReachableMember(start + path, found)


def _struct_names(btf: Btf, owners: list[Type]) -> list[str]:
    """Returns the names of structs, by the enclosing struct for an anonymous one; none if they are too many to tell."""
    if len(owners) > 2 * SHOWN_NAMES:
        return []
    around = {m.type: outer for outer in btf if outer.kind in COMPOSITES for m in btf.members(outer) if not m.name}
    found = []
    for kind in owners:
        for _ in range(SEARCH_DEPTH):
            kind = kind if kind.name else around.get(kind.id, kind)
        found.append(_type_name(btf, kind))
    return list(dict.fromkeys(filter(None, found)))


def _type_name(btf: Btf, kind: Type) -> str:
    if kind.kind == PTR:
        kind = btf.resolve(kind.word)
    return f"{KEYWORDS[kind.kind]} {kind.name}" if kind.kind in KEYWORDS and kind.name else ""
