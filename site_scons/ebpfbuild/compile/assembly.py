"""Refuses assembler directives that read files, which no depfile shows.

Where a text may hold assembly of its own, clang prints all that its assembler gets (-S): there macros are
expanded, strings joined and operands printed, so that a directive is seen however it was spelt.
"""

import re
from collections.abc import Iterable

from ..errors import UndeclaredInputError
from .directives import can_be_pasted

_SPELT = ("asm", "__asm", "__asm__")
_WORD = re.compile(r"\w+")
_ASM = re.compile(r"(?<!\w)(?:__)?asm(?:__)?(?!\w)")
# `.macro` and the like put directives together where -S doesn't show it. LLVM takes names in any case.
_READS = re.compile(r"(?<![\w.$])\.(?:include|incbin|macro|irpc?|altmacro|secure_log_unique)(?![\w.$])", re.IGNORECASE)
# What clang itself writes of a program's strings: data, names of files and sections.
_DATA = re.compile(r'^\s*\.(?:asci[iz]|string|file|ident|section)\s[^"\n;]*"(?:[^"\\\n]|\\.)*"[^";]*$')


def may_assemble(texts: Iterable[str]) -> bool:
    """Returns True if the texts of a program may hold assembly: by its word, spliced or pasted, too."""
    words: set[str] = set()
    for text in texts:
        whole = re.sub(r"(?:\\|\?\?/)[^\S\n]*\n", "", text)
        if _ASM.search(whole):
            return True
        words.update(word for word in _WORD.findall(whole) if len(word) < 7 and any(word in spelt for spelt in _SPELT))
    return any(can_be_pasted(spelt, frozenset(words)) for spelt in _SPELT)


def check_assembly(assembly: str, source: str) -> None:
    """Refuses an assembler's input (clang -S -fno-integrated-as) if it may read a file.

    Raises UndeclaredInputError.
    """
    for line in assembly.splitlines():
        if (found := _READS.search(line)) and not _DATA.match(line):
            what = f"tells the assembler {found[0]}, by which files are read that no depfile tells of"
            raise UndeclaredInputError(
                what, where=source, fix="take #embed or an array, and write assembly out where it is used"
            )
