"""Names what a C text's directives may name: files, and words that ask for one."""

from typing import NamedTuple

# clang looks for a file by them, and -fms-extensions has both.
PRAGMAS = ("#pragma include_alias", "#pragma GCC dependency")
HAS_OPERATORS = ("__has_include", "__has_include_next", "__has_embed")  # what a condition asks for a file with


class FileReference(NamedTuple):
    """A file that a directive names. `word` is `include`, `include_next`, `import`, `embed` or one of HAS_OPERATORS."""

    word: str
    quoted: bool
    name: str


class Directives(NamedTuple):
    """The files that a text names, and what in it can't be read.

    `unreadable` are conditions that ask for a file without its name, `pieces` are parts of such a condition's word that
    `##` may join.
    """

    references: tuple[FileReference, ...]
    unreadable: tuple[str, ...] = ()
    pieces: frozenset[str] = frozenset()
