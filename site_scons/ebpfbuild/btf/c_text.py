"""Writes BTF types as C, for messages and for the comments of generated code."""

from .reader import Btf
from .types import C_KEYWORDS, COMPOSITES, ENUMS, MODIFIERS, Kind, Member, Type

KSYM_NAME_LEN = 512  # bytes; the kernel's KSYM_NAME_LEN, which bounds BTF's names
MAX_PARTS = 200  # pointers, arrays, parameters …: a cycle in malformed BTF ends there

QUALIFIERS = {Kind.CONST: "const", Kind.VOLATILE: "volatile", Kind.RESTRICT: "restrict"}


def declaration(btf: Btf, number: int, name: str = "") -> str:
    """Writes the C declaration of `name` with a type, as `const struct sock *sk[4]`.

    Without a name it is the type's own text. An anonymous struct reads `struct {...}`. Raises BtfError for a type of
    more than 200 parts.
    """
    return _declare(btf, number, name, [MAX_PARTS])


def _declare(btf: Btf, number: int, inner: str, left: list[int]) -> str:
    """Works outside in: `inner` is the declarator made so far, which pointers, arrays and functions wrap."""
    qualifiers = ""
    while left[0] > 0:
        left[0] -= 1
        kind = btf[number]
        if kind.kind in MODIFIERS:
            qualifiers += _qualifier(kind)
        elif kind.kind == Kind.PTR:
            inner, qualifiers = "*" + qualifiers + inner, ""
        elif kind.kind == Kind.ARRAY:
            inner = f"{_wrapped(inner)}[{kind.length or ''}]"
        elif kind.kind == Kind.FUNC_PROTO:
            inner = f"{_wrapped(inner)}({_parameters(btf, kind, left)})"
        elif kind.kind not in (Kind.FUNC, Kind.VAR):
            if len(kind.name) > KSYM_NAME_LEN:
                btf.fail(f"has a type with a name of {len(kind.name)} characters")
            text = f"{qualifiers}{_base(kind)}"
            return f"{text} {inner}" if inner else text
        number = kind.type
    btf.fail(f"has a type of more than {MAX_PARTS} parts, too many to write as C")


def _qualifier(kind: Type) -> str:
    if kind.kind == Kind.TYPE_TAG:
        return f"__attribute__(({kind.name})) " if kind.flag else f'__attribute__((btf_type_tag("{kind.name}"))) '
    return QUALIFIERS[kind.kind] + " "


def _wrapped(inner: str) -> str:
    return f"({inner})" if inner.startswith("*") else inner


def _parameters(btf: Btf, proto: Type, left: list[int]) -> str:
    params = proto.params
    texts = [_declare(btf, param.type, param.name, left) for param in params]
    if params and not params[-1].type and not params[-1].name:
        texts[-1] = "..."
    return ", ".join(texts) or "void"


def _base(kind: Type) -> str:
    if kind.kind == Kind.VOID:
        return "void"
    if kind.kind == Kind.FWD:
        return f"{'union' if kind.flag else 'struct'} {kind.name or '{...}'}"
    if kind.kind in C_KEYWORDS:
        return f"{C_KEYWORDS[kind.kind]} {kind.name or '{...}'}"
    return kind.name or "?"


def definition(btf: Btf, number: int) -> str:
    """Writes the C definition of a struct, union, enum or typedef, its members a line each.

    Of another type it is the declaration. Offsets aren't stated: it is for people to read. Raises BtfError as
    `declaration` does.
    """
    kind = btf[number]
    if kind.kind == Kind.TYPEDEF:
        return f"typedef {declaration(btf, kind.type, kind.name)};"
    if kind.kind in ENUMS:
        lines = [f"\t{value.name} = {value.value}," for value in kind.values]
    elif kind.kind in COMPOSITES:
        lines = [_member(btf, member) for member in kind.members]
    else:
        return declaration(btf, number) + ";"
    head = " ".join(filter(None, (C_KEYWORDS[kind.kind], kind.name)))
    return "\n".join([head + " {", *lines, "};"])


def _member(btf: Btf, member: Member) -> str:
    return f"\t{declaration(btf, member.type, member.name)}{f': {member.bits}' if member.bits else ''};"
