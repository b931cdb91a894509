"""What a program names: the tags, members and other words of its preprocessed text."""

import hashlib
import re
from dataclasses import dataclass

from .index import Index

# Kept by `clang -E`, so that the place of vmlinux.h in the text is known whatever the stub is called.
MARKER = "#pragma ebpfbuild vmlinux"

_TAG = re.compile(r"\b(?:struct|union|enum)\s+(?:__attribute__\s*\(\(.*?\)\)\s*)?([A-Za-z_]\w*)")
_MEMBER = re.compile(r"(?:->|(?<!\.)\.)\s*([A-Za-z_]\w*)")
# A cast such as `(typeof(struct x) *)0` uses a pointer, `typeof(struct x) *value;` in a map's definition does not.
_VALUE = re.compile(r"\b(?:struct|union)\s+([A-Za-z_]\w*)(?:\s+(?:const|volatile))*(\s*\*|\s*\)\s*\*\s*\)|\s*\{)?")
_MATCHES = re.compile(r"__builtin_preserve_type_info\s*\(([^;]*?),\s*(?:BPF_TYPE_MATCHES|2)\s*\)")
_WORD = re.compile(r"[A-Za-z_]\w*")
_OFFSETOF = re.compile(r"__builtin_offsetof\s*\(")
_LITERAL = re.compile(r'"(?:[^"\\\n]|\\.)*"|\'(?:[^\'\\\n]|\\.)+\'')
_DIRECTIVE = re.compile(r"^[ \t]*#.*", re.M)
_DEFINED = re.compile(r"^#(define|undef) (\w+)(\(?)", re.M)
_FORWARD = re.compile(r"^[ \t]*(?:struct|union)\s+\w+\s*;", re.M)
# libbpf's bpf_helper_defs.h: `static long (* const bpf_x)(…) = (void *) 1;`, and the same in older hand-made copies.
_HELPER = re.compile(r"^[ \t]*static\b[^;{}=]*?\(\s*\*\s*(?:const\s+)?(\w+)\s*\)[^;{}]*?=\s*\(void\s*\*\)[^;]*;", re.M)


@dataclass(frozen=True)
class Names:
    """The names that a program uses. `tags` follow struct, union or enum; `members` follow `.` or `->` or stand in
    offsetof; `words` are all others. `values` are the tags that are used other than through a pointer. `included` says whether vmlinux.h was reached, `macros` what was defined before it.
    """

    tags: frozenset[str]
    members: frozenset[str]
    words: frozenset[str]
    values: frozenset[str] = frozenset()
    included: bool = True
    macros: frozenset[str] = frozenset()

    def __or__(self, other: "Names") -> "Names":
        return Names(self.tags | other.tags, self.members | other.members, self.words | other.words,
                     self.values | other.values, self.included and other.included, self.macros | other.macros)

    def digest(self) -> str:
        """The sha256 of the names, the same for the same sets: with the header's and the mode it keys a minimized header."""
        parts = (self.tags, self.members, self.words, self.values, self.macros, (str(self.included),))
        return hashlib.sha256("\n\n".join(" ".join(sorted(part)) for part in parts).encode()).hexdigest()


def names_of(preprocessed: str) -> Names:
    """The names in the output of `clang -E -dD` of a program that included `stub(index)` as its vmlinux.h."""
    before, marker, after = preprocessed.partition(MARKER)
    code = _FORWARD.sub("", _DIRECTIVE.sub("", before + after))
    code = _LITERAL.sub('""', code)
    prototypes = {found[1]: found[0] for found in _HELPER.finditer(code)}
    code = _HELPER.sub("", code)
    words = frozenset(_WORD.findall(code))
    code = "\n".join([code, *(text for name, text in prototypes.items() if name in words)])
    members = frozenset(_MEMBER.findall(code)).union(*map(_WORD.findall, _offsetofs(code)))
    tags = frozenset(_TAG.findall(code))
    # clang wants the typedefs of the other prototypes declared, too; their structs libbpf declares itself.
    code = "\n".join([code, *(text for name, text in prototypes.items() if name not in words)])
    words = frozenset(_WORD.findall(_MEMBER.sub(" ", _TAG.sub(" ", code))))
    return Names(tags, members, words, _values(code), bool(marker), _macros(before) if marker else frozenset())


def _values(code: str) -> frozenset[str]:
    """The tags that are used by value, and those of `bpf_core_type_matches`, which compares all members by itself."""
    found = {tag for tag, pointer in _VALUE.findall(code) if not pointer}
    for arguments in _MATCHES.findall(code):
        found.update(_WORD.findall(arguments))
    return frozenset(found)


def _macros(before: str) -> frozenset[str]:
    """The program's macros that are in force where vmlinux.h is included; one with arguments as `name(`.

    The compiler's own, which come before `<command line>`, are left out: no header could live with one that met its names.
    """
    defined = {}
    for verb, name, opening in _DEFINED.findall(before.partition('"<command line>"')[2]):
        defined[name] = name + opening if verb == "define" else ""
    return frozenset(defined.values()) - {""}


def conflicts(index: Index, names: Names) -> list[str]:
    """The macros, sorted, that would rewrite the header because they are named like something in it.

    A macro with arguments counts only where the header has that name before a parenthesis. Those that the header's own
    `#` lines name (`__weak`, `BPF_NO_KFUNC_PROTOTYPES`) are meant to be defined by a program.
    """
    own = set(_WORD.findall(" ".join(index.declaration(number) for number in index.lines)))
    return sorted(macro.rstrip("(") for macro in names.macros if macro.rstrip("(") not in own and _meets(index.text, macro))


def _meets(text: str, macro: str) -> bool:
    """Whether a macro's name is a word of the text. Found by str.find: a pattern that starts with \\b is 20 times slower."""
    name = macro.rstrip("(")
    place = text.find(name)
    while place >= 0:
        end = place + len(name)
        if not _in_word(text[place - 1:place]) and not _in_word(text[end:end + 1]):
            if macro == name or text[end:end + 8].lstrip().startswith("("):
                return True
        place = text.find(name, end)
    return False


def _in_word(character: str) -> bool:
    return character.isalnum() or character == "_"


def _offsetofs(code: str) -> list[str]:
    """The arguments of every offsetof."""
    arguments = []
    for found in _OFFSETOF.finditer(code):
        depth, place = 1, found.end()
        while depth and place < len(code):
            depth += {"(": 1, ")": -1}.get(code[place], 0)
            place += 1
        arguments.append(code[found.end():place - 1])
    return arguments
