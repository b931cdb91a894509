"""Cuts structs down to the members that a program uses: CO-RE finds those by name, wherever they are.

pycparser tells members, bitfields and nested types apart, and is shown the kept declarations only (the whole header
takes it two seconds); what is written is the header's own text.
"""

import re
from functools import lru_cache
from typing import Any

from .index import Index
from .refs import Composite, MemberMentions, statement
from .scanner import ATTRIBUTE

# A struct of up to so many members, none of them named, stays whole: it is mostly there for its size, as in `eth + 1`.
SMALL = 24

_HEAD = re.compile(r"(struct|union)\s+(\w+)\s*\{")
_WORD = re.compile(r"[A-Za-z_]\w*")


class Statement:
    """A `…;` of a struct's body. A nested body has `inner` statements and `tail`, what follows its closing brace."""

    def __init__(self, text: str, inner: list["Statement"] | None = None, tail: str = ""):
        self.text, self.inner, self.tail = text, inner, tail
        self.kept = False

    def written(self) -> str:
        """Returns the text of what is kept."""
        if self.inner is None:
            return self.text
        return self.text + "".join(each.written() for each in self.inner if each.kept) + self.tail


class Trimmer:
    """Cuts structs and unions of one header down to the members of one program. Each is parsed when it is asked for."""

    def __init__(self, index: Index, members: frozenset[str]):
        self._index, self._members = index, members
        self._done: dict[int, Statement | None] = {}

    def references(self, number: int) -> Composite | None:
        """Returns the mentions of the kept members; None if this declaration isn't cut down.

        Enums, typedefs and odd shapes aren't.
        """
        trimmed = self._trimmed(number)
        return Composite(_kept_members(self._index, trimmed)) if trimmed else None

    def text(self, number: int) -> str:
        """Returns the declaration with its kept members only."""
        trimmed = self._trimmed(number)
        return trimmed.written() if trimmed else self._index.declaration(number)

    def _trimmed(self, number: int) -> Statement | None:
        if number not in self._done:
            self._done[number] = self._trim(self._index.declaration(number))
        return self._done[number]

    def _trim(self, text: str) -> Statement | None:
        head = _HEAD.match(text)
        node = _struct_node(text) if head else None
        if head is None or not node or not node.decls:
            return None
        close = text.rindex("}")
        inner = body_statements(text, head.end(), close)
        whole = Statement(text[: head.end()], inner, text[_tail(text, close) :])
        if not _keep(inner, node.decls, self._members):
            return None
        if not any(each.kept for each in inner):
            if len(inner) <= SMALL:
                return None
            _keep_one(inner)
        return whole


@lru_cache(512)  # programs share structs, and so do arches: to parse one takes 30 ms
def _struct_node(text: str) -> Any:
    """Returns pycparser's node of a struct; None for C that it doesn't know. Any word that may be a typedef is one."""
    from pycparser import c_parser  # 60 ms that the other modes need not pay

    code = ATTRIBUTE.sub(" ", text).replace("__int128", "int")
    code = code[: code.rindex("}") + 1] + ";"  # macros such as ATTR_PRESERVE_ACCESS_INDEX stand in the tail
    types = sorted(
        set(re.findall(r"(?:^|[;{(,]|\bconst|\bvolatile)\s*([A-Za-z_]\w*)(?=[\s*]+[\w(*]|\s*[,)])", code)) - _C_WORDS
    )
    prelude = "".join(f"typedef int {name};" for name in types)
    try:
        return c_parser.CParser().parse(prelude + code).ext[-1].type
    except (c_parser.ParseError, AttributeError, AssertionError):
        return None


_C_WORDS = frozenset(
    """void char short int long float double signed unsigned _Bool struct union enum const volatile
restrict""".split()
)


def body_statements(text: str, start: int, end: int) -> list[Statement]:
    """Returns the statements of a body, nested ones inside of theirs. Each text begins after the `;` before it."""
    found, depth, opening = [], 0, 0
    for mark in re.compile(r"[;{}]").finditer(text, start, end):
        if mark[0] == "{":
            opening = mark.end() if not depth else opening
            depth += 1
        elif mark[0] == "}":
            depth -= 1
            closing = mark.start() if not depth else 0
        elif not depth:
            piece = text[start : mark.end()]
            if opening and not re.search(r"\benum\b[^;{]*$", text[start : opening - 1]):
                tail = text[_tail(text, closing) : mark.end()]
                found.append(Statement(text[start:opening], body_statements(text, opening, closing), tail))
            else:
                found.append(Statement(piece))
            start, opening = mark.end(), 0
    return found


def _tail(text: str, closing: int) -> int:
    """Returns the place of the newline before a closing brace's line.

    It is the brace's own if a statement stands before it.
    """
    newline = text.rfind("\n", 0, closing)
    return closing if text[newline + 1 : closing].strip() else newline


def _keep(statements: list[Statement], decls: list[Any], members: frozenset[str]) -> bool:
    """Marks what is kept. Returns False if text and syntax tree don't match one to one, as with `int a, b;`."""
    from pycparser import c_ast

    if len(statements) != len(decls):
        return False
    for each, decl in zip(statements, decls, strict=True):
        inner = _body(decl)
        anonymous_tag = decl.name is None and inner is None and isinstance(decl.type, (c_ast.Struct, c_ast.Union))
        each.kept = decl.name in members or anonymous_tag
        if inner and each.inner:
            if not _keep(each.inner, inner, members):
                return False
            if any(child.kept for child in each.inner):
                each.kept = True
            elif each.kept:
                _keep_all(each.inner)
    _keep_bitfields(statements, decls)
    return True


def _body(decl: Any) -> list[Any] | None:
    """Returns the members of a nested struct or union, through pointers and arrays of it; None for any other member."""
    node = decl.type
    while node is not None and type(node).__name__ in ("TypeDecl", "PtrDecl", "ArrayDecl"):
        node = node.type
    return getattr(node, "decls", None)


def _keep_bitfields(statements: list[Statement], decls: list[Any]) -> None:
    """Keeps a named bitfield's neighbours: C reads it by a shift, which CO-RE doesn't change."""
    run: list[Statement] = []
    pairs: list[tuple[Statement | None, Any]] = [*zip(statements, decls, strict=True), (None, None)]
    for each, decl in pairs:
        if each is not None and decl.bitsize is not None:
            run.append(each)
            continue
        if any(one.kept for one in run):
            for one in run:
                one.kept = True
        run = []


def _keep_all(statements: list[Statement]) -> None:
    for each in statements:
        each.kept = True
        _keep_all(each.inner or [])


def _keep_one(statements: list[Statement]) -> None:
    """Keeps the first member that needs nothing else: an empty struct has size 0, and by value it crashes clang."""
    plain = [each for each in statements if each.inner is None and "struct" not in each.text and "(" not in each.text]
    _keep_all((plain or statements)[:1])


def _kept_members(index: Index, node: Statement) -> list[MemberMentions]:
    found = []
    for each in node.inner or ():
        if not each.kept:
            continue
        if each.inner is not None:
            found += _kept_members(index, each)
        else:
            member = statement(index, each.text.rstrip(";"))
            if member.mentions:
                found.append(member)
    return found
