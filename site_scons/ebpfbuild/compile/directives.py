"""Finds the files that a C text names in its directives; the few texts that need a lexer get one, lexer.py."""

import functools
import re

from .references import HAS_OPERATORS, Directives, FileReference

_PLAIN = re.compile(
    r'^[ \t]*#[ \t]*(include_next|include|import|embed)[ \t]*(?:"([^"\\\n]+)"|<([^>\\\n]+)>)', re.MULTILINE
)
# Words that ask for a file, and what they may begin with where they are pasted: `_`, `__`, `__h`, `__ha`, `__has`. What
# goes on as none of them does, such as __has_attribute of each vmlinux.h, can't become one.
_ASKS = re.compile(r"_(?:_has_(?:include|embed|[a-z]{0,6}(?!\w))|(?<!\w_)_?(?:h(?:as?)?)?(?!\w))")
_SPLICED_WORD = re.compile(r"\\[^\S\n]*\n\w")
_FILE_WORD = re.compile("include|import|embed")
_BLANK = frozenset(" \t\f\v\n\\")
_PRINTABLE = frozenset(map(chr, range(0x21, 0x7F))) - frozenset("#/:")


@functools.lru_cache(maxsize=4096)
def directives(text: str) -> Directives:
    """Returns the files that a text's directives name, behind a false condition, too: never fewer than clang finds.

    Most texts have nothing that needs a lexer; there a directive in a comment counts, too.
    """
    plain = _PLAIN.findall(text)
    if _needs_lexer(text, len(plain)) or any((quoted or angled).startswith("/") for _, quoted, angled in plain):
        from .lexer import lexed  # not for a null build: its patterns take 2 ms to compile

        return lexed(text)
    return Directives(tuple(FileReference(word, bool(quoted), quoted or angled) for word, quoted, angled in plain))


def _needs_lexer(text: str, plain: int) -> bool:
    """Returns True if there may be a directive beside those `plain` ones that _PLAIN matches, or a word that asks."""
    if "include_alias" in text or "dependency" in text and "GCC" in text:
        return True
    if "??" in text or "%:" in text or _ASKS.search(text) or _SPLICED_WORD.search(text):
        return True
    return sum(map(text.count, ("include", "import", "embed"))) != plain and any(
        not _PLAIN.match(text, text.rfind("\n", 0, word.start()) + 1) and _may_follow_hash(text, word.start())
        for word in _FILE_WORD.finditer(text)
    )


def _may_follow_hash(text: str, place: int) -> bool:
    """Returns True if a word may be a directive's: nothing but blanks, comments or splices between it and a `#`."""
    while place and text[place - 1] in _BLANK:
        place -= 1
    return not place or text[place - 1] not in _PRINTABLE


def pasted(pieces: frozenset[str]) -> str | None:
    """Returns the word of HAS_OPERATORS that pieces make when `##` joins them, or None."""
    return next((word for word in HAS_OPERATORS if can_be_pasted(word, pieces)), None)


def can_be_pasted(word: str, pieces: frozenset[str]) -> bool:
    """Returns True if a word can be put together from pieces."""
    reached = {0}
    for end in range(1, len(word) + 1):
        if any(word[start:end] in pieces for start in reached):
            reached.add(end)
    return len(word) in reached


def directives_only(text: str) -> str:
    """Returns a short text with the same directives: for a header whose text stays and is asked for in each build."""
    known = directives(text)
    lines = [_directive(reference) for reference in known.references]
    return "".join(f"{line}\n" for line in [*lines, *(f"#if {word}" for word in known.unreadable)])


def _directive(reference: FileReference) -> str:
    name = f'"{reference.name}"' if reference.quoted else f"<{reference.name}>"
    return f"#if {reference.word}({name})" if reference.word in HAS_OPERATORS else f"#{reference.word} {name}"
