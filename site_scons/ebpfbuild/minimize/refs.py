"""Finds what each declaration of a header refers to, and how: by value, by pointer, by a function's parameters."""

import re

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
_POINTER_NAMES = re.compile(r"\(\s*\*[\s*]*(?:const\s+|volatile\s+)*([A-Za-z_]\w*)")
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

Mention = tuple[str, str, int]  # name, keyword (empty for a typedef), how


class Composite(tuple[tuple[tuple[str, ...], list[Mention]], ...]):
    """The members of a struct or union, nested ones included: pairs of member names and mentions."""


class Typedef(tuple[tuple[Mention, bool], ...]):
    """The mentions of a typedef: pairs of a mention and whether an array of it must be complete at once."""


class Function(tuple[Mention, ...]):
    """The mentions of a function's prototype or of a variable's type."""


def references(index: Index, number: int) -> Composite | Typedef | Function:
    """Returns what declaration `number` refers to; it is parsed once and kept in `index.memo`."""
    found = index.memo.get(number)
    if found is None:
        found = index.memo[number] = _parse(index, index.declaration(number))
    return found


def _parse(index: Index, text: str) -> Composite | Typedef | Function:
    opening = text.find("{")
    if text.startswith("enum") or (opening >= 0 and text.startswith("typedef enum")):
        return Function()
    if opening >= 0:
        return Composite(_members(index, text[opening + 1 : text.rindex("}")]))
    if text.startswith("typedef"):
        _, mentions = statement(index, text[7:-1])
        return Typedef((mention, "[" in text and mention[2] == VALUE) for mention in mentions)
    return Function(every_mention(index, text, STRONG))


def _members(index: Index, body: str) -> list[tuple[tuple[str, ...], list[Mention]]]:
    """Returns the members that refer to a type, in a body whose nested anonymous structs are taken as part of it."""
    members: list[tuple[tuple[str, ...], list[Mention]]] = []
    ordinary = index.ordinary
    previous = ""
    for qualifier, keyword, base, stars, name, array, text, mark in _MEMBER.findall(body):
        if base:
            if keyword or (base in ordinary and base not in _BUILTIN):
                how = VALUE if not stars else CHASED if array else AGAIN if qualifier else DIRECT
                members.append(((name,), [(base, keyword, how)]))
        elif mark == ";" and previous != "}":
            names, mentions = statement(index, text)
            if mentions:
                members.append((names, mentions))
        previous = mark
    return members


def statement(index: Index, text: str) -> tuple[tuple[str, ...], list[Mention]]:
    """Returns the names that one member or typedef declares, and its mentions. `text` comes without its `;`."""
    tagged = "btf_type_tag" in text
    if "__attribute__" in text:
        text = ATTRIBUTE.sub(" ", text)
    if "(" in text:
        how = VALUE if re.search(r"\)\s*\[", text) else CHASED
        return tuple(_POINTER_NAMES.findall(text)), every_mention(index, text, how)
    first, *more = text.split(",")
    base = _base(index, first)
    names = [_name(part) for part in (first, *more)]
    if not base:
        return tuple(names), _sizes(index, text)
    name, keyword, qualified = base
    hows = {CHASED if tagged else _mention_level(part, qualified) for part in (first, *more)}
    return tuple(names), [(name, keyword, how) for how in sorted(hows)] + _sizes(index, text)


def _base(index: Index, text: str) -> tuple[str, str, bool] | None:
    """Returns name and keyword of a declaration's type, whether const or volatile stands with it; None for `int`."""
    words = _WORD.findall(text.split("*", 1)[0].split("[", 1)[0].split(":", 1)[0])
    qualified = False
    for place, word in enumerate(words):
        if word in _KEYWORDS:
            return words[place + 1], word, qualified or not _QUALIFIERS.isdisjoint(words[place + 2 :])
        if word in _QUALIFIERS:
            qualified = True
        elif word in _BUILTIN:
            return None
        else:
            return (
                (word, "", qualified or not _QUALIFIERS.isdisjoint(words[place + 1 :]))
                if word in index.ordinary
                else None
            )
    return None


def _mention_level(declarator: str, qualified: bool) -> int:
    if "*" not in declarator:
        return VALUE
    if "[" in declarator:
        return CHASED
    return AGAIN if qualified else DIRECT


def _name(declarator: str) -> str:
    words = _WORD.findall(declarator.split("[", 1)[0].split(":", 1)[0])
    return words[-1] if words else ""


def _sizes(index: Index, text: str) -> list[Mention]:
    """Returns the enumerators that an array's size or a bitfield's width names.

    bpftool writes numbers, people may not.
    """
    if "[" not in text and ":" not in text:
        return []
    tail = text[min(place for place in (text.find("["), text.find(":")) if place >= 0) :]
    return [(word, "", VALUE) for word in _WORD.findall(tail) if word in index.ordinary]


def every_mention(index: Index, text: str, how: int) -> list[Mention]:
    """Returns all types that a text names, tags and typedefs alike, each reached as `how`."""
    ordinary = index.ordinary
    found = _TAG_OR_WORD.findall(text)
    tags = [(name, keyword, how) for keyword, name in found if keyword]
    return tags + [(name, "", how) for keyword, name in found if not keyword and name in ordinary]


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
            names += _POINTER_NAMES.findall(code)[:1]
        else:
            first, *more = code.split(",")
            unnamed = not after_body and len(_WORD.findall(first.split(":")[0])) < 2  # `u32: 0;`
            names += [_name(part) for part in ([] if unnamed else [first]) + more]
    return [name for name in names if name]
