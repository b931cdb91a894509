"""Makes the header that holds only what a program uses, in one of four modes."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from ..errors import EbpfError
from ..header import MODES, HeaderComment
from .closure import Closure, close
from .emit import emit
from .fields import Trimmer
from .index import Index, index_header
from .names import UsedNames
from .scanner import declared

_TAGGED = re.compile(r"(struct|union|enum)\s+(?:__attribute__\s*\(\(.*?\)\)\s*)?(\w+)\s*\{")
_FIRST_ENUMERATOR = re.compile(r"\{\s*(\w+)")


@dataclass(frozen=True)
class Kept:
    """A declaration of a minimized header: its title, and whether it is `whole` or only declared."""

    name: str
    whole: bool


@dataclass(frozen=True)
class Minimized:
    """A minimized header: its `text`, of which `index` and by which `closure` it was made, in which `mode`."""

    text: str
    mode: str
    index: Index
    closure: Closure

    @property
    def total(self) -> int:
        """The number of the full header's declarations."""
        return self.index.total

    @cached_property
    def reread(self) -> Index:
        """The index of the minimized header itself."""
        return index_header(self.text)

    @cached_property
    def kept(self) -> tuple[Kept, ...]:
        """The declarations that are only declared, sorted, then those that are whole or cut down; none for `off`.

        The latter are in the header's order.
        """
        forward = [Kept(f"{keyword} {name}", False) for name, keyword in sorted(self.closure.declared.items())]
        forward += [Kept(title(self.index, number), False) for number in sorted(self.closure.forwards)]
        return (*forward, *(Kept(title(self.index, number), True) for number in sorted(self.closure.whole)))


def minimize(
    index: Index,
    names: UsedNames,
    mode: str,
    program: str,
    arch: str,
    kernel: str,
    sha256: str,
    keep_whole: Iterable[str] = (),
) -> Minimized:
    """Returns the minimized header of a program, or of several whose names were joined with `|`.

    A pure function of its arguments: the same set of names gives the same bytes. `mode` is one of MODES; `program`,
    `arch`, `kernel` and `sha256` (of the full header) go into the first comment. `keep_whole` names tags that `fields`
    must not cut down. Raises EbpfError for another mode.
    """
    if mode not in MODES:
        raise EbpfError(
            f"no minimizer mode is called {mode!r}", where="MINIMIZE", fix=f"take one of {', '.join(MODES)}"
        )
    if mode == "off":
        return Minimized(index.text, mode, index, Closure())
    names = names.unrenamed()
    trimmer = Trimmer(index, names.members) if mode == "fields" else None
    closure = close(index, names, mode == "exact", trimmer, keep_whole)
    stated = HeaderComment(mode, len(closure.whole), index.total)
    comment = [
        "A minimized vmlinux.h: written by scons-bpf, not for editing.",
        f"header:  Linux {kernel}, {arch}, sha256 {sha256}",
        f"program: {program}",
        *stated.lines(declared=len(closure.declared) + len(closure.forwards)),
    ]
    text = emit(index, closure, comment, trimmer.text if trimmer else index.declaration)
    return Minimized(text, mode, index, closure)


def title(index: Index, number: int) -> str:
    """Returns a declaration's name in a report: `struct sock`, `typedef u32`, `function bpf_x`, `enum { FIRST, … }`."""
    text = index.declaration(number)
    tagged = _TAGGED.match(text)
    if number in index.forwards:
        return text.rstrip(";")
    if tagged:
        return f"{tagged[1]} {tagged[2]}"
    if text.startswith("enum"):
        first = _FIRST_ENUMERATOR.search(text)
        return f"enum {{ {first[1]}, … }}" if first else "enum"
    if text.startswith("typedef"):
        return f"typedef {declared(text)}"
    return f"{'function' if '(' in text else 'variable'} {declared(text)}"
