"""The minimizer's front door: a header with only what a program uses, in one of four modes."""

from collections.abc import Iterable
from dataclasses import dataclass

from ..errors import EbpfError
from .closure import Closure, close
from .emit import emit
from .fields import Trimmer
from .index import Index
from .names import Names

MODES = ("off", "exact", "lean", "fields")


@dataclass(frozen=True)
class Kept:
    """One declaration of a minimized header. `whole` is false for a forward declaration."""

    name: str
    whole: bool


@dataclass(frozen=True)
class Minimized:
    """A minimized header: its `text`, what it keeps of the `total` declarations in the header's order, and why."""

    text: str
    mode: str
    kept: tuple[Kept, ...]
    total: int
    reasons: dict[str | int, tuple]


def minimize(index: Index, names: Names, mode: str, program: str, arch: str, kernel: str, sha256: str,
             keep_whole: Iterable[str] = ()) -> Minimized:
    """The minimized header of a program, or of several whose names were joined with `|`.

    A pure function of its arguments: the same set of names gives the same bytes. `mode` is one of MODES; `program`, `arch`,
    `kernel` and `sha256` (of the full header) go into the first comment. `keep_whole` names tags that `fields` must not cut down. Raises EbpfError for another mode.
    """
    if mode not in MODES:
        raise EbpfError(f"no minimizer mode is called {mode!r}", where="MINIMIZE", fix=f"take one of {', '.join(MODES)}")
    if mode == "off":
        return Minimized(index.text, mode, (), index.total, {})
    trimmer = Trimmer(index, names.members) if mode == "fields" else None
    closure = close(index, names, mode == "exact", trimmer, keep_whole)
    kept = _kept(index, closure)
    comment = [
        "A minimized vmlinux.h: written by scons-bpf, not for editing.",
        f"header:  Linux {kernel}, {arch}, sha256 {sha256}",
        f"program: {program}",
        f"mode:    {mode}",
        f"kept:    {len(closure.whole)} of {index.total} declarations, {len(closure.declared)} more are only declared",
    ]
    return Minimized(emit(index, closure, comment, trimmer.text if trimmer else index.declaration), mode, kept, index.total, closure.reasons)


def _kept(index: Index, closure: Closure) -> tuple[Kept, ...]:
    forward = [Kept(f"{keyword} {name}", False) for name, keyword in sorted(closure.declared.items())]
    whole = [Kept(title(index, number), True) for number in sorted(closure.whole)]
    return (*forward, *whole)


def title(index: Index, number: int) -> str:
    """What a declaration is called in a report: its first line, without what follows the name."""
    return index.declaration(number).split("\n", 1)[0].split("{", 1)[0].strip().rstrip(";")
