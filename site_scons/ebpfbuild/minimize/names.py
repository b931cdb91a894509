"""Finds the names that a program uses: tags, members and other words of its preprocessed text, and where they stand."""

import collections
import functools
import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from .index import Index

# Kept by `clang -E`, so that the place of vmlinux.h in the text is known whatever the stub is called.
MARKER = "#pragma ebpfbuild vmlinux"
# Put behind the text where a file that clang read has a pop_macro: what that brings back, `clang -E -dD` doesn't show.
POPPED = "#pragma ebpfbuild pop_macro"
HELPER_DEFS = "bpf/bpf_helper_defs.h"  # libbpf's generated prototypes of all helpers

_LINE_MARKER = re.compile(r'\n# (\d+) "((?:[^"\\\n]|\\.)*)".*')  # it starts with plain text: ten times as fast as ^
_STRING = r'"(?:[^"\\\n]|\\[^\n])*"|\'(?:[^\'\\\n]|\\[^\n])+\''
_TOKEN = re.compile(
    _STRING + r"|(?:(->|(?<!\.)\.)\s*|\b(?:struct|union|enum)\s+(?!__attribute|__declspec)(?=(\w)))?\b([A-Za-z_]\w*)"
)
# gnu11 has C++'s raw strings: quotes, line ends and what looks like a line marker may stand in them.
_RAW = re.compile(r'\b(?:u8|[uUL])?R"([^ ()\\\s]{0,16})\(.*?\)\1"|' + _STRING, re.S)
# What may stand between `struct` and its tag: attributes of each spelling (clang's ParseClassSpecifier).
# Three patterns with a literal start are several times as fast as one that starts with \b or an alternative.
_TAGGED_LATE = tuple(
    re.compile(word + r"\s*+(?=__attribute|__declspec|\[\s*\[|<:)") for word in ("struct", "union", "enum")
)
_ATTRIBUTE_WORDS = re.compile(r"\s*(?:__attribute(?:__)?|__declspec)\b\s*|\s*(?=\[\s*\[|<:)")
_OLD_DESIGNATOR = re.compile(r"[{,]\s*([A-Za-z_]\w*)\s*:")  # GNU's `{ member: 1 }`
_WORD = re.compile(r"[A-Za-z_]\w*")
_OFFSETOF = re.compile(r"__builtin_offsetof\s*\(")
_DEFINED = re.compile(r"^#(define|undef) (\w+)(?:(\()| ?([A-Za-z_]\w*)?$)?", re.M)
# `static long (* const bpf_x)(…) = (void *) 1;`, and the same in older hand-made copies of the helpers.
_HELPER = re.compile(
    r"^[ \t]*static\b[^;{}=,]*?\(\s*\*\s*(?:const\s+)?(\w+)\s*\)[^;{}=]*?=\s*\(void\s*\*\)\s*\w+\s*;", re.M
)
# A cast such as `(typeof(struct x) *)0` uses a pointer, `typeof(struct x) *value;` in a map's definition does not, and
# `(struct x *)0` is from an offsetof.
_VALUE = re.compile(
    r"\b(?:struct|union)\s+([A-Za-z_]\w*)(?:\s+(?:const|volatile))*(\s*\*(?!\s*\)\s*0\b)|\s*\)\s*\*\s*\)|\s*\{)?"
)
_MATCHES = re.compile(r"__builtin_preserve_type_info\s*\(([^;]*?),\s*(?:BPF_TYPE_MATCHES|2)\s*\)")


class Rename(NamedTuple):
    """A macro that is one other name, as in `#define sock sock_old`."""

    name: str
    other: str


@dataclass(frozen=True)
class UsedNames:
    """The names that a program uses.

    `tags` follow struct, union or enum; `members` follow `.` or `->` or stand in offsetof; `words` are all others.
    `values` are the tags that are used other than through a pointer. `included` says whether vmlinux.h was reached,
    `macros` what was defined before it, `renames` those macros that are one other name.
    """

    tags: frozenset[str]
    members: frozenset[str]
    words: frozenset[str]
    values: frozenset[str] = frozenset()
    included: bool = True
    macros: frozenset[str] = frozenset()
    renames: frozenset[Rename] = frozenset()

    def __or__(self, other: "UsedNames") -> "UsedNames":
        return UsedNames(
            self.tags | other.tags,
            self.members | other.members,
            self.words | other.words,
            self.values | other.values,
            self.included and other.included,
            self.macros | other.macros,
            self.renames | other.renames,
        )

    def unrenamed(self) -> "UsedNames":
        """Returns these names and the header's own for them: behind `#define sock sock_old`, `sock` for `sock_old`."""
        if not self.renames:
            return self

        def with_renamed(names: frozenset[str]) -> frozenset[str]:
            return names | {name for name, other in self.renames if other in names}

        sets: dict[str, Any] = {
            part: with_renamed(getattr(self, part)) for part in ("tags", "members", "words", "values")
        }
        return replace(self, **sets)

    def digest(self) -> str:
        """Returns the sha256 of the names, the same for the same sets.

        With header and mode it keys a minimized header.
        """
        renames = (f"{name}={other}" for name, other in self.renames)
        parts = (self.tags, self.members, self.words, self.values, self.macros, renames, (str(self.included),))
        return hashlib.sha256("\n\n".join(" ".join(sorted(part)) for part in parts).encode()).hexdigest()


def names_of(preprocessed: str, helpers_path: str = HELPER_DEFS) -> UsedNames:
    """Returns the names in the output of `clang -E -dD` of a program that included `stub(index)` as its vmlinux.h.

    `helpers_path` is libbpf's bpf_helper_defs.h as clang found it: a project's own file of that name is code like any
    other.
    """
    preprocessed = _without_raw_strings(preprocessed)
    own = preprocessed.partition('"<command line>"')[2] or preprocessed  # the compiler's own macros come before that
    before, marker, _ = own.partition(MARKER)
    code: list[str] = []
    helpers: list[str] = []
    helpers_path = os.path.normpath(helpers_path)
    for path, _, text in segments(own):
        (helpers if os.path.normpath(path) == helpers_path else code).append(text)
    own = _code("".join(code))
    late = _late_tags(own)
    prototypes = dict(_prototypes("".join(helpers)))
    if "*)" in own and "static" in own:
        prototypes |= {found[1]: found[0] for found in _HELPER.finditer(own)}
        own = _HELPER.sub("", own)
    tags, members, words = _tokens(own)
    tags |= late
    for name, text in prototypes.items():
        # clang wants the typedefs of the other prototypes, too; their structs libbpf declares itself.
        prototype = _prototype(text)
        if name in words:
            tags |= prototype.tags
        words |= prototype.words
    return UsedNames(
        frozenset(tags),
        frozenset(members),
        frozenset(words),
        _values(own) | late,
        bool(marker),
        *(_macros_before(before, POPPED in preprocessed) if marker else ()),
    )


class Segment(NamedTuple):
    """A piece of preprocessed text: its file, the number of its first line, its text."""

    path: str
    line: int
    text: str


def segments(preprocessed: str) -> Iterator[Segment]:
    """Yields the pieces of preprocessed text that clang's line markers part."""
    path, line, start = "", 1, 0
    text = "\n" + preprocessed
    for marker in _LINE_MARKER.finditer(text):
        yield Segment(path, line, text[start : marker.start() + 1])
        path, line, start = marker[2], int(marker[1]) - 1, marker.end()
    yield Segment(path, line, text[start:])


def where(preprocessed: str, name: str) -> str:
    """Returns `file:line` where the program or a header of its own first names something.

    Else it is where libbpf does, or empty.
    """
    later = ""
    word = re.compile(rf"\b{re.escape(name)}\b")
    for path, number, text in segments(preprocessed):
        for offset, line in enumerate(text.split("\n")):
            if word.search(line) and not line.startswith("#"):
                found = f"{path}:{number + offset}"
                if "include/bpf/" not in path:
                    return found
                later = later or found
    return later


def _without_raw_strings(text: str) -> str:
    """Returns the text with an empty string in the place of each raw one."""
    if 'R"' not in text:
        return text
    return _RAW.sub(lambda found: '""' if found[1] is not None else found[0], text)


def _late_tags(code: str) -> set[str]:
    """Returns the tags behind attributes, and each word in those.

    For example `struct __attribute__((packed)) __attribute__((…)) sock`.
    """
    found = set()
    for start in (start for pattern in _TAGGED_LATE for start in pattern.finditer(code)):
        place = start.end()
        while attribute := _ATTRIBUTE_WORDS.match(code, place):
            opening, place = attribute.end(), _closing(code, attribute.end())
            found.update(_WORD.findall(code[opening:place]))
        if word := re.compile(r"\s*([A-Za-z_]\w*)").match(code, place):
            found.add(word[1])
    return found


def _closing(code: str, start: int) -> int:
    """Returns the place behind the parentheses or brackets that open at a place; those in strings don't count."""
    depth = 0
    for found in re.compile(_STRING + r"|[(\[]|[)\]]|<:|:>").finditer(code, start):
        depth += 1 if found[0] in ("(", "[", "<:") else -1 if found[0] in (")", "]", ":>") else 0
        if depth == 0:
            return found.end()
    return len(code)


def _code(text: str) -> str:
    """Returns the text without `#` lines."""
    return "\n".join([line for line in text.split("\n") if not line.startswith("#")])


class _Tokens(NamedTuple):
    """The names in a piece of code, sorted as UsedNames has them."""

    tags: set[str]
    members: set[str]
    words: set[str]


@functools.lru_cache(maxsize=4)
def _prototypes(text: str) -> dict[str, str]:
    """Returns the prototypes of bpf_helper_defs.h by name; the same few texts come with every program."""
    return {found[1]: found[0] for found in _HELPER.finditer(_code(text))}


@functools.lru_cache(maxsize=1024)
def _prototype(text: str) -> _Tokens:
    return _tokens(text)


def _tokens(code: str) -> _Tokens:
    """Sorts the names in code."""
    tags: set[str] = set()
    members: set[str] = set()
    words: set[str] = set()
    for access, tagged, name in set(_TOKEN.findall(code)):
        (members if access else tags if tagged else words).add(name)
    if "__builtin_offsetof" in code:
        for arguments in _offsetofs(code):
            members.update(_WORD.findall(arguments))
    members.update(_OLD_DESIGNATOR.findall(code))
    words.discard("")
    return _Tokens(tags, members, words)


def _values(code: str) -> frozenset[str]:
    """Returns the tags that are used by value, or by `bpf_core_type_matches`.

    That one compares all members by itself.
    """
    found = {tag for tag, pointer in _VALUE.findall(code) if not pointer}
    for arguments in _MATCHES.findall(code):
        found.update(_WORD.findall(arguments))
    return frozenset(found)


class _Macros(NamedTuple):
    """The macros in force where vmlinux.h is included, and those of them that are one other name.

    A macro with arguments is `name(`.
    """

    names: frozenset[str]
    renames: frozenset[Rename]


def _macros_before(before: str, popped: bool) -> _Macros:
    """Returns the macros that the text `before` vmlinux.h defines.

    Where macros are `popped`, each that was ever named may stand for anything.
    """
    if popped:
        return _Macros(frozenset(name for _, name, _, _ in _DEFINED.findall(before)), frozenset())
    macros: dict[str, str] = {}
    renames: dict[str, str] = {}
    for verb, name, opening, other in _DEFINED.findall(before):
        macros[name], renames[name] = name + opening, other
        if verb == "undef":
            del macros[name], renames[name]
    renamed = frozenset(Rename(name, other) for name, other in renames.items() if other)
    return _Macros(frozenset(macros.values()), renamed)


def conflicts(index: Index, names: UsedNames) -> list[str]:
    """Returns the macros, sorted, that would rewrite the header because they are named like something in it.

    A macro with arguments counts only where the header has that name before a parenthesis. Those that the header's own
    `#` lines name (`__weak`, `BPF_NO_KFUNC_PROTOTYPES`) are meant to be defined by a program. Those that give a
    declaration another name, one that is new, rewrite the minimized header as they do the full one: `unrenamed` sees
    through them.
    """
    own = set(_WORD.findall(" ".join(index.declaration(number) for number in index.lines)))
    macros = {macro: macro.rstrip("(") for macro in names.macros}
    found = {name for macro, name in macros.items() if name not in own and _has_word(index.text, macro)}
    taken = collections.Counter(other for _, other in names.renames)
    for name, other in names.renames:
        declared = name in index.tags or name in index.ordinary or name in index.only_declared
        if declared and taken[other] == 1 and other not in macros.values() and not _has_word(index.text, other):
            found.discard(name)
    return sorted(found)


def _has_word(text: str, macro: str) -> bool:
    """Returns True if a macro's name is a word of the text. str.find is 20 times as fast as a pattern."""
    name = macro.rstrip("(")
    place = text.find(name)
    while place >= 0:
        end = place + len(name)
        if not _in_word(text[place - 1 : place]) and not _in_word(text[end : end + 1]):
            if macro == name or text[end : end + 8].lstrip().startswith("("):
                return True
        place = text.find(name, end)
    return False


def _in_word(character: str) -> bool:
    return character.isalnum() or character == "_"


def _offsetofs(code: str) -> list[str]:
    """Returns the arguments of every offsetof."""
    arguments = []
    for found in _OFFSETOF.finditer(code):
        depth, place = 1, found.end()
        while depth and place < len(code):
            depth += {"(": 1, ")": -1}.get(code[place], 0)
            place += 1
        arguments.append(code[found.end() : place - 1])
    return arguments
