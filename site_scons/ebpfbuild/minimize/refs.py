"""Finds what each declaration of a header refers to, and how: by value, by pointer, by a function's parameters."""

import re
from typing import NamedTuple

from .index import Index
from .scanner import ATTRIBUTE

# How a member or typedef reaches a type. The order is that of clang's BTFDebug.cpp (visitDerivedType), which decides
# what an object's BTF holds: see docs/minimizer.md.
VALUE = 1  # the layout needs it
DIRECT = 2  # a pointer to it: BTF gets a forward declaration
AGAIN = 4  # a pointer to a const, volatile or typedef of it: BTF follows it only when it meets it a second time
CHASED = 8  # an array of pointers, a parameter or return of a function pointer: BTF always follows it
STRONG = 16  # the program names the member: it may look through the pointer
TWICE = 32  # met a second time through AGAIN or the same typedef
WHOLE = 64  # with every member, where `fields` keeps only those named

_STATEMENT = re.compile(r"([^;{}]*)([;{}])")
# The same, but that most members are told apart by the regex engine alone: `const struct x *name[3];` gives six groups,
# `unsigned int name: 3;` none, all else its text and mark.
_MEMBER = re.compile(
    r"\s*+(?:"
    r"(?:unsigned|signed|long|short|int|char|void|_Bool)\b[\w *]*+(?:\[\d*+\]|: ?\d++)*+;"
    r"|(const |volatile )?(?:(struct|union|enum) )?(?!(?:struct|union|enum)\b)(\w++) (\**+)(\w++)((?:\[\d*+\])*+);"
    r"|([^;{}]*+)([;{}])"
    r")"
)
_TAG = re.compile(r"\b(struct|union|enum)\s+([A-Za-z_]\w*)")
_TAG_OR_WORD = re.compile(r"\b(?:(struct|union|enum)\s+)?([A-Za-z_]\w*)")
_WORD = re.compile(r"[A-Za-z_]\w*")
POINTER_NAMES = re.compile(r"\(\s*\*[\s*]*(?:const\s+|volatile\s+)*([A-Za-z_]\w*)")
_KEYWORDS = frozenset(("struct", "union", "enum"))
_QUALIFIERS = frozenset(("const", "volatile", "restrict", "__restrict", "_Atomic"))
_BUILTIN = frozenset(
    (
        "void",
        "char",
        "short",
        "int",
        "long",
        "float",
        "double",
        "signed",
        "unsigned",
        "_Bool",
        "__int128",
        "__signed__",
        "extern",
        "static",
        "inline",
    )
)


class Mention(NamedTuple):
    """A type that a declaration names, its keyword (empty for a typedef), and how it is reached: VALUE, DIRECT …"""

    name: str
    keyword: str
    how: int


class MemberMentions(NamedTuple):
    """The names that one statement of a struct or one typedef declares, and the types that it mentions."""

    names: tuple[str, ...]
    mentions: list[Mention]


class Composite(tuple[MemberMentions, ...]):
    """The members of a struct or union that mention a type, nested ones included."""


class TypedefTarget(NamedTuple):
    """A type that a typedef mentions, and whether an array of it must be complete at once."""

    mention: Mention
    array: bool


class Typedef(tuple[TypedefTarget, ...]):
    """The types that a typedef mentions."""


class Prototype(tuple[Mention, ...]):
    """The types that a function's prototype or a variable's declaration mentions; none for an enum."""


class _BaseType(NamedTuple):
    """The type before a declaration's declarators, and whether const or volatile stands with it."""

    name: str
    keyword: str
    qualified: bool


def references(index: Index, number: int) -> Composite | Typedef | Prototype:
    """Returns what declaration `number` refers to; it is parsed once and kept in `index.memo`."""
    found = index.memo.get(number)
    if found is None:
        found = index.memo[number] = _parse(index, index.declaration(number))
    return found


def _parse(index: Index, text: str) -> Composite | Typedef | Prototype:
    opening = text.find("{")
    if text.startswith("enum") or (opening >= 0 and text.startswith("typedef enum")):
        return Prototype()
    if opening >= 0:
        return Composite(_members(index, text[opening + 1 : text.rindex("}")]))
    if text.startswith("typedef"):
        declared, array = statement(index, text[7:-1]), "[" in text
        return Typedef(TypedefTarget(each, array and each.how == VALUE) for each in declared.mentions)
    return Prototype(every_mention(index, text, STRONG))


def _members(index: Index, body: str) -> list[MemberMentions]:
    """Returns the members that refer to a type, in a body whose nested anonymous structs are taken as part of it."""
    members: list[MemberMentions] = []
    ordinary = index.ordinary
    previous = ""
    for qualifier, keyword, base, stars, name, array, text, mark in _MEMBER.findall(body):
        if base:
            if keyword or (base in ordinary and base not in _BUILTIN):
                how = VALUE if not stars else CHASED if array else AGAIN if qualifier else DIRECT
                members.append(MemberMentions((name,), [Mention(base, keyword, how)]))
        elif mark == ";" and previous != "}":
            member = statement(index, text)
            if member.mentions:
                members.append(member)
        previous = mark
    return members


def statement(index: Index, text: str) -> MemberMentions:
    """Reads the text, without its `;`, of one member or typedef."""
    tagged = "btf_type_tag" in text
    if "__attribute__" in text:
        text = ATTRIBUTE.sub(" ", text)
    if "(" in text:
        how = VALUE if re.search(r"\)\s*\[", text) else CHASED
        return MemberMentions(tuple(POINTER_NAMES.findall(text)), every_mention(index, text, how))
    first, *more = text.split(",")
    base = _base_type(index, first)
    names = [declared_name(part) for part in (first, *more)]
    if not base:
        return MemberMentions(tuple(names), _size_mentions(index, text))
    reached = {CHASED if tagged else _how_reached(part, base.qualified) for part in (first, *more)}
    mentions = [Mention(base.name, base.keyword, how) for how in sorted(reached)]
    return MemberMentions(tuple(names), mentions + _size_mentions(index, text))


def _base_type(index: Index, text: str) -> _BaseType | None:
    """Returns the type of a declaration; None for `int` and its like."""
    words = _WORD.findall(text.split("*", 1)[0].split("[", 1)[0].split(":", 1)[0])
    qualified = False
    for place, word in enumerate(words):
        if word in _KEYWORDS:
            return _BaseType(words[place + 1], word, qualified or not _QUALIFIERS.isdisjoint(words[place + 2 :]))
        if word in _QUALIFIERS:
            qualified = True
        elif word in _BUILTIN:
            return None
        elif word in index.ordinary:
            return _BaseType(word, "", qualified or not _QUALIFIERS.isdisjoint(words[place + 1 :]))
        else:
            return None
    return None


def _how_reached(declarator: str, qualified: bool) -> int:
    if "*" not in declarator:
        return VALUE
    if "[" in declarator:
        return CHASED
    return AGAIN if qualified else DIRECT


def declared_name(declarator: str) -> str:
    words = _WORD.findall(declarator.split("[", 1)[0].split(":", 1)[0])
    return words[-1] if words else ""


def _size_mentions(index: Index, text: str) -> list[Mention]:
    """Returns the enumerators that an array's size or a bitfield's width names.

    bpftool writes numbers, people may not.
    """
    if "[" not in text and ":" not in text:
        return []
    tail = text[min(place for place in (text.find("["), text.find(":")) if place >= 0) :]
    return [Mention(word, "", VALUE) for word in _WORD.findall(tail) if word in index.ordinary]


def every_mention(index: Index, text: str, how: int) -> list[Mention]:
    """Returns all types that a text names, tags and typedefs alike, each reached as `how`."""
    ordinary = index.ordinary
    found = _TAG_OR_WORD.findall(text)
    tags = [Mention(name, keyword, how) for keyword, name in found if keyword]
    return tags + [Mention(name, "", how) for keyword, name in found if not keyword and name in ordinary]


def member_names(index: Index, number: int, around: tuple[int, ...] = ()) -> list[str]:
    """Returns the names of a struct's members, those of anonymous structs inside of it included, in their order.

    `around` are the structs that hold it as such: a malformed header may go round in a circle.
    """
    text = index.declaration(number)
    names, previous = [], ""
    for code, terminator in _STATEMENT.findall(ATTRIBUTE.sub(" ", text[text.find("{") + 1 : text.rfind("}")])):
        after_body, previous = previous == "}", terminator
        tagged = _TAG.fullmatch(code.strip())
        if terminator != ";":
            continue
        if tagged:
            inner = index.tags.get(tagged[2], number)
            names += member_names(index, inner, (*around, number)) if inner not in (*around, number) else []
        elif "(" in code:
            names += POINTER_NAMES.findall(code)[:1]
        else:
            first, *more = code.split(",")
            unnamed = not after_body and len(_WORD.findall(first.split(":")[0])) < 2  # `u32: 0;`
            names += [declared_name(part) for part in ([] if unnamed else [first]) + more]
    return [name for name in names if name]
