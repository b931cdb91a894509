"""Steps back from the mode asked for to one that holds: `fields`, that with more types whole, `lean`, `exact`, all."""

import functools
import re
from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

from ..errors import CompileError
from ..prove.objects import Verdict
from .modes import Minimized

Made = TypeVar("Made")  # what a compile makes: an object's bytes, or those of several

MAX_FIELDS_ROUNDS = 8  # of `fields`; each keeps at least one more type whole
MAX_SHOWN = 3  # differences or diagnostics in a notice

_STEPS = {"fields": ("fields", "lean", "exact"), "lean": ("lean", "exact"), "exact": ("exact",), "off": ()}

_QUOTED_TYPE = re.compile(r"'(?:const |volatile )*(?:struct |union )?(\w+)(?: \*+)?'")


class Settled(NamedTuple, Generic[Made]):
    """The header to use and its object. `kept_whole`: the types that a proof asked for; `notices`: what gave way."""

    minimized: Minimized
    object: Made
    kept_whole: tuple[str, ...]
    notices: tuple[str, ...]


class _Outcome(NamedTuple, Generic[Made]):
    object: Made | None
    what: tuple[str, ...] = ()
    types: frozenset[str] = frozenset()
    refused: bool = False


def settle(
    mode: str,
    minimized: Callable[[str, frozenset[str]], Minimized],
    compile_: Callable[[Minimized], Made],
    prove: Callable[[Made, str], Verdict] | None,
    report: Callable[[str], None],
) -> Settled[Made]:
    """Returns the first header that compiles and, where there is a `prove`, is proven.

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
    def full() -> tuple[Minimized, Made]:
        header = minimized("off", frozenset())
        return header, compile_(header)

    for step in _STEPS[mode]:
        keep: frozenset[str] = frozenset()
        for _ in range(MAX_FIELDS_ROUNDS if step == "fields" else 1):
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


def _attempt(
    header: Minimized, mode: str, compile_: Callable[[Minimized], Made], prove: Callable[[Made, str], Verdict] | None
) -> _Outcome[Made]:
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
    more = f" (and {len(what) - MAX_SHOWN} more)" if len(what) > MAX_SHOWN else ""
    return "; ".join(what[:MAX_SHOWN]) + more
