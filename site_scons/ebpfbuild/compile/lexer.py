"""Reads the directives of a C text as a compiler does: lines spliced, comments dropped.

Source of the phases: C11 5.1.1.2; of what goes beyond it (blanks between a backslash and its newline, Unicode's blanks,
raw strings in gnu11, the line of an #error, which has no comments): clang's Lexer.cpp and PPDirectives.cpp.
"""

import re
from collections.abc import Callable, Iterator

from .references import HAS_OPERATORS, PRAGMAS, Directives, FileReference


def _spliced(word: str) -> str:
    return r"\0*".join(word)


# In a lexed text a splice is a NUL, which no directive's pattern has to know but these.
_COMMENT = r"/\0*(?:/[^\n]*|\*.*?(?:\*\0*/|\Z))"
_GAP = rf"(?>(?:[^\S\n]|\0|{_COMMENT})*)"
_STRING = r'"(?>(?:[^"\\\n]|\\\0*[^\n])*)"?'
_CHARACTER = r"'(?>(?:[^'\\\n]|\\\0*[^\n])*)'?"
_RAW = r'(?<![\w$])(?:u\0*8\0*|[uUL]\0*)?R\0*"([^()\\\s]{0,16})\((?:.*?\)\1"|.*\Z)'
_DIRECTIVE = rf"(?:\#|%\0*:){_GAP}(?:{'|'.join(map(_spliced, ('include_next', 'include', 'import', 'embed')))})"
_HAS_CALL = rf"(?:{'|'.join(map(_spliced, HAS_OPERATORS))}){_GAP}\("
_HEADER_NAME = rf"(?:{_DIRECTIVE}|{_HAS_CALL}){_GAP}<[^>\n]*>"
_MESSAGE = rf"(?m:^){_GAP}(?:\#|%\0*:){_GAP}(?:{_spliced('error')}|{_spliced('warning')})\b[^\n]*"
_NUMBER = r"(?<![\w$])\.?\d(?:[eEpP][+-]|'\w|[\w.])*"  # C23's 1'000 opens no character

_LINE = re.compile(r"^[^\S\n]*(?:#|%:)[^\S\n]*(\w+)(.*)$", re.MULTILINE)
_NAME = re.compile(r'\s*(?:"([^"]+)"|<([^>]+)>)')
_ASK = re.compile(rf'\b({"|".join(HAS_OPERATORS)})\b(\s*\(\s*(?:"([^"]+)"|<([^>]+)>))?')
_DEFINED = re.compile(rf"\bdefined\s*\(?\s*(?:{'|'.join(HAS_OPERATORS)})\b")
_WORD = re.compile(r"\w+")
# Anywhere, for `_Pragma(#x)` makes one of any words.
_PRAGMA = re.compile(r"\b(include_alias)\b|\bGCC\s+dependency\b")
_TRIGRAPHS = (("??/", "\\"), ("??=", "#"))


def lexed(text: str) -> Directives:
    """Returns the Directives of a text.

    Where language or context decides how a text is to be read, it is read in each way.
    """
    found: dict[FileReference, None] = {}
    unreadable: dict[str, None] = {}
    pieces: set[str] = set()
    for clean in {clean: None for reading in _trigraph_readings(text) for clean in _cleaned(reading)}:
        unreadable |= dict.fromkeys(PRAGMAS[not pragma[1]] for pragma in _PRAGMA.finditer(clean))
        for line in _LINE.finditer(clean):
            read = _read_directive(line[1], line[2])
            found |= dict.fromkeys(read.references)
            unreadable |= dict.fromkeys(read.unreadable)
            if line[1] in ("if", "elif", "define"):
                pieces.update(word for word in _WORD.findall(line[2]) if _is_piece(word))
    return Directives(tuple(found), tuple(unreadable), frozenset(pieces))


def _trigraph_readings(text: str) -> Iterator[str]:
    """Yields the text, and the text with its trigraphs replaced (-std=c11)."""
    yield text
    if "??/" in text or "??=" in text:
        for trigraph, character in _TRIGRAPHS:
            text = text.replace(trigraph, character)
        yield text


def _cleaned(text: str) -> Iterator[str]:
    """Yields a text without comments and splices, once for each way to read what only some of C's dialects have."""
    text = re.sub(r"\\[^\S\n]*\n", "\0", text.removeprefix("\ufeff").replace("\0", " "))
    tokens = [_HEADER_NAME, _COMMENT, _STRING, _CHARACTER]
    dialects = [
        dialect
        for dialect, there in (
            (_RAW, 'R"' in text or "R\0" in text),
            (_NUMBER, re.search(r"\d'", text)),
            (_MESSAGE, re.search("error|warning", text)),
        )
        if there
    ]
    for chosen in range(1 << len(dialects)):
        first = [dialect for place, dialect in enumerate(dialects) if chosen >> place & 1]
        yield re.sub("|".join([*first, *tokens]), _without_comment, text, flags=re.DOTALL).replace("\0", "")


def _without_comment(token: re.Match[str]) -> str:
    """Returns a token as it stands, but a comment as a blank.

    A directive with a header's name loses the comments before the name.
    """
    text = token[0]
    if re.match(r"/\0*[/*]", text):
        return " "
    if text.endswith(">") and text[0] in "#%_":
        start = _name_start(text)
        return re.sub(_COMMENT, " ", text[:start], flags=re.DOTALL) + text[start:]
    return text


def _name_start(text: str) -> int:
    """Returns the place of the `<` that opens the header's name in a directive; one in a comment doesn't count."""
    start = re.match(rf"(?:{_DIRECTIVE}|{_HAS_CALL}){_GAP}", text, re.DOTALL)
    return start.end() if start else 0


def _read_directive(word: str, rest: str) -> Directives:
    """Returns the files that one directive names, and the operators in it that have no name that can be read."""
    if word in ("include", "include_next", "import", "embed"):
        name = _NAME.match(rest)
        return Directives((FileReference(word, bool(name[1]), name[1] or name[2]),) if name else ())
    if word not in ("if", "elif", "define"):
        return Directives(())
    references, unreadable = [], []
    rest = _DEFINED.sub(" ", rest)
    if word == "define":
        rest = re.sub(r"^\s*\w+", "", rest)
    for ask, opening, quoted, angled in _ASK.findall(rest):
        if not opening or (word == "define" and quoted):  # quotes search the folder of the file that uses the macro
            unreadable.append(ask)
        else:
            references.append(FileReference(ask, bool(quoted), quoted or angled))
    return Directives(tuple(references), tuple(unreadable))


def _is_piece(word: str) -> bool:
    return word not in HAS_OPERATORS and any(word in ask for ask in HAS_OPERATORS)


def line_of(text: str, has: Callable[[Directives], bool]) -> int:
    """Returns the number of the first line with which `has(directives)` is true of a text that ends behind it."""
    lines = text.split("\n")
    low, high = 1, len(lines)
    while low < high:
        middle = (low + high) // 2
        if has(lexed("\n".join(lines[:middle]) + "\n")):
            high = middle
        else:
            low = middle + 1
    return low
