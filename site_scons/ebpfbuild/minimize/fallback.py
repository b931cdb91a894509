"""From the mode asked for to one that holds: `fields`, that with more types whole, `lean`, `exact`, the full header."""

import functools
import re
from collections.abc import Callable
from typing import NamedTuple, Protocol

from ..errors import CompileError
from .modes import Minimized

MAX_ROUNDS = 8  # of `fields`; each keeps at least one more type whole
SHOWN = 3  # differences or diagnostics in a notice

_STEPS = {"fields": ("fields", "lean", "exact"), "lean": ("lean", "exact"), "exact": ("exact",), "off": ()}

_QUOTED_TYPE = re.compile(r"'(?:const |volatile )*(?:struct |union )?(\w+)(?: \*+)?'")


class Verdict(Protocol):
    """What a proof says: whether two objects are equal, what differs, and the types that this concerns."""

    equal: bool
    differences: tuple[str, ...]
    types: tuple[str, ...]


class Settled(NamedTuple):
    """The header to use and its object. `kept_whole`: the types that a proof asked for; `notices`: what gave way."""

    minimized: Minimized
    object: bytes
    kept_whole: tuple[str, ...]
    notices: tuple[str, ...]


class _Outcome(NamedTuple):
    object: bytes | None
    what: tuple[str, ...] = ()
    types: frozenset[str] = frozenset()
    refused: bool = False


def settle(
    mode: str,
    minimized: Callable[[str, frozenset[str]], Minimized],
    compile_: Callable[[Minimized], bytes],
    prove: Callable[[bytes, str], Verdict] | None,
    report: Callable[[str], None],
) -> Settled:
    """The first header that compiles and, where there is a `prove`, is proven.

    `minimized(mode, keep_whole)` makes a header, `compile_` an object of it (CompileError if clang refuses),
    `prove(object, mode)` compares it with the full header's. `fields` needs a `prove`. Each step back is told to
    `report`. Raises CompileError if the full header doesn't compile either.
    """
    if mode == "fields" and prove is None:
        raise ValueError("fields is never used unproven")
    notices: list[str] = []

    def tell(text: str) -> None:
        notices.append(text)
        report(text)

    @functools.cache
    def full() -> tuple[Minimized, bytes]:
        header = minimized("off", frozenset())
        return header, compile_(header)

    for step in _STEPS[mode]:
        keep: frozenset[str] = frozenset()
        for _ in range(MAX_ROUNDS if step == "fields" else 1):
            header = minimized(step, keep)
            outcome = _attempt(header, step, compile_, prove)
            if outcome.object is not None:
                return Settled(header, outcome.object, tuple(sorted(keep)), tuple(notices))
            if outcome.refused:
                full()  # a program that the full header doesn't compile either is at fault itself
            more = outcome.types - keep if step == "fields" else frozenset()
            if not more:
                break
            keep |= more
            tell(f"minimize={step}: keeping {', '.join(sorted(more))} whole: {_shown(outcome.what)}")
        tell(f"minimize={step} doesn't hold: {_shown(outcome.what)}")
    header, made = full()
    if notices:
        tell("using the full header, which compiles: please report this with the program, it is a bug of the minimizer")
    return Settled(header, made, (), tuple(notices))


def _attempt(header: Minimized, mode: str, compile_, prove) -> _Outcome:
    try:
        made = compile_(header)
    except CompileError as error:
        lines = tuple(line for line in error.details if "error:" in line) or (error.what,)
        return _Outcome(None, lines, frozenset(name for line in lines for name in _QUOTED_TYPE.findall(line)), True)
    verdict = prove(made, mode) if prove else None
    if verdict is None or verdict.equal:
        return _Outcome(made)
    return _Outcome(None, tuple(verdict.differences), frozenset(verdict.types))


def _shown(what: tuple[str, ...]) -> str:
    more = f" (and {len(what) - SHOWN} more)" if len(what) > SHOWN else ""
    return "; ".join(what[:SHOWN]) + more
