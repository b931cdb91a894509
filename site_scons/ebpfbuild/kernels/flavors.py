"""Writes the structs that lead to a field as flavors, which any header lets a program declare."""

from ..btf.c_text import declaration
from ..btf.types import C_KEYWORDS, COMPOSITES, Kind, Type
from ..core_relo.names import essential_name
from .moves import STEP, members_of


def flavored_structs(struct: Type, path: str, flavor: str) -> list[str]:
    """Returns the structs on a path such as `disk->bdi`, each with the member that the path takes, innermost first.

    All of them are flavors: the header that a program is compiled with may lack any, or have it otherwise.
    """
    inner, body = _bodies(struct, [name for _, name, _ in STEP.findall(path)], flavor)
    return [*inner, f"{_flavored(struct, flavor)} {body}"]


def _bodies(struct: Type, names: list[str], flavor: str) -> tuple[list[str], str]:
    """Returns the structs that a struct needs for a path of members, and its own text between braces."""
    btf = struct.btf
    member = next(each for each in members_of(struct) if each.name == names[0])
    kind, lengths = btf.resolve(member.type), ""
    while kind.kind == Kind.ARRAY:
        kind, lengths = btf.resolve(kind.type), f"{lengths}[{kind.length}]"
    if len(names) == 1:
        text = declaration(btf, member.type, member.name)
        if kind.kind in COMPOSITES:
            whole = f"{C_KEYWORDS[kind.kind]} {{ /* what you need of {declaration(btf, member.type)} */ }}"
            text = f"{whole} {member.name}{lengths}"
        return [], f"{{ {text}; }}"
    pointer = "*" if kind.kind == Kind.PTR else ""
    kind = btf.resolve(kind.type) if pointer else kind
    before, body = _bodies(kind, names[1:], flavor)
    of = f"{C_KEYWORDS[kind.kind]} {body}"
    if kind.name:
        of = _flavored(kind, flavor)
        before = [*before, f"{of} {body}"]
    return before, f"{{ {of} {pointer}{member.name}{lengths}; }}"


def _flavored(struct: Type, flavor: str) -> str:
    return f"{C_KEYWORDS[struct.kind]} {essential_name(struct.name)}___{flavor}"
