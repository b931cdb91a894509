"""C text of BTF types, for errors and for `inspect`."""

from __future__ import annotations

from .reader import (  # fmt: skip
    ARRAY,
    COMPOSITES,
    CONST,
    ENUMS,
    FUNC,
    FUNC_PROTO,
    FWD,
    KEYWORDS,
    PTR,
    QUALIFIERS,
    RESTRICT,
    TYPEDEF,
    VAR,
    VOID,
    VOLATILE,
    Btf,
    Member,
    Type,
)

MAX_PARTS = 200  # pointers, arrays, parameters …: stops at a cycle in malformed BTF
MAX_NESTED = 16  # anonymous structs in one another
QUALIFIER_TEXT = {CONST: "const ", VOLATILE: "volatile ", RESTRICT: "restrict "}


def declaration(btf: Btf, number: int, name: str = "") -> str:
    """Returns the C declaration of `name`, as `const struct sock *sk[4]`; without a name the text of the type alone.

    An anonymous struct reads `struct {...}`. Raises ObjectError for a type of more than 200 parts.
    """
    return _declare(btf, number, name, [MAX_PARTS])


def definition(btf: Btf, number: int) -> str:
    """Returns the C definition of a struct, union, enum, typedef or function, a member a line. Raises ObjectError."""
    kind = btf[number]
    if kind.kind == TYPEDEF:
        return f"typedef {declaration(btf, kind.word, kind.name)};"
    if kind.kind in (*COMPOSITES, *ENUMS):
        return _body(btf, kind, 0) + ";"
    return declaration(btf, number, kind.name if kind.kind in (FUNC, VAR) else "") + ";"


def _body(btf: Btf, kind: Type, depth: int) -> str:
    """Returns a struct, union or enum with its members; writes out anonymous ones inside it where they stand."""
    if depth > MAX_NESTED:
        btf.fail(f"has more than {MAX_NESTED} anonymous structs in one another")
    tabs = "\t" * (depth + 1)
    lines = [f"{tabs}{name} = {value}," for name, value in btf.values(kind)]
    lines += [f"{tabs}{_member(btf, member, depth)};" for member in btf.members(kind)]
    head = " ".join(filter(None, (KEYWORDS[kind.kind], kind.name)))
    return "\n".join([head + " {", *lines, "\t" * depth + "}"])


def _member(btf: Btf, member: Member, depth: int) -> str:
    inner, bits = btf[member.type], f": {member.bits}" if member.bits else ""
    if inner.kind in (*COMPOSITES, *ENUMS) and not inner.name:
        name = f" {member.name}" if member.name else ""
        return f"{_body(btf, inner, depth + 1)}{name}{bits}"
    return declaration(btf, member.type, member.name) + bits


def _declare(btf: Btf, number: int, inner: str, budget: list[int]) -> str:
    """Works outside in: pointers, arrays and functions wrap `inner`, the declarator made so far."""
    qualifiers = ""
    while budget[0] > 0:
        budget[0] -= 1
        kind = btf[number]
        number = kind.word
        if kind.kind in QUALIFIERS:
            qualifiers += QUALIFIER_TEXT.get(kind.kind, f'__attribute__((btf_type_tag("{kind.name}"))) ')
        elif kind.kind == PTR:
            inner, qualifiers = "*" + qualifiers + inner, ""
        elif kind.kind == ARRAY:
            inner, number = f"{_parenthesized(inner)}[{btf.length(kind) or ''}]", btf.element(kind)
        elif kind.kind == FUNC_PROTO:
            inner = f"{_parenthesized(inner)}({_parameters(btf, kind, budget)})"
        elif kind.kind not in (FUNC, VAR):
            return f"{qualifiers}{_base(kind)} {inner}" if inner else f"{qualifiers}{_base(kind)}"
    btf.fail(f"has a type of more than {MAX_PARTS} parts, too many to write as C")


def _parenthesized(inner: str) -> str:
    return f"({inner})" if inner.startswith("*") else inner


def _parameters(btf: Btf, proto: Type, budget: list[int]) -> str:
    parameters = btf.parameters(proto)
    texts = [_declare(btf, number, name, budget) for name, number in parameters]
    if parameters and parameters[-1] == ("", 0):
        texts[-1] = "..."
    return ", ".join(texts) or "void"


def _base(kind: Type) -> str:
    if kind.kind == VOID:
        return "void"
    keyword = KEYWORDS.get(kind.kind, "")
    if kind.kind == FWD:
        keyword = "union" if kind.flag else "struct"
    return f"{keyword} {kind.name or '{...}'}" if keyword else kind.name or "?"
