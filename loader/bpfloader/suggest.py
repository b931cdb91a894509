"""Names near to one that isn't there, for messages. difflib is imported with the first of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .btf.reader import Btf

SHOWN = 3
MANY = 20_000  # names: more than that are narrowed down before each is compared


def nearest(name: str, among: Iterable[str], cutoff: float = 0.6) -> list[str]:
    """Up to three names near to that one, the nearest first; else those that it is a part of; an empty list for none."""
    from difflib import get_close_matches

    names = sorted({*among})
    same = [each for each in names if each[:1] == name[:1] and abs(len(each) - len(name)) < 4]
    near = get_close_matches(name, same if len(names) > MANY else names, SHOWN, cutoff)
    return near or sorted((each for each in names if name and name in each), key=len)[:SHOWN]


def near(name: str, among: Iterable[str], otherwise: str = "") -> str:
    """The same as the end of a message, `nearest: a, b`; `otherwise` where there is none."""
    found = nearest(name, among)
    return f"nearest: {', '.join(found)}" if found else otherwise


def no_such(what: str, name: str, among: Iterable[str]) -> KeyError:
    """The KeyError for a part that an object doesn't have: `no map event; nearest: events`."""
    close = near(name, among)
    return KeyError(f"no {what} {name}" + (f"; {close}" if close else ""))


def kernel_names(btf: Btf | None, kind: int) -> set[str]:
    """The kernel's functions (FUNC), or its tracepoints (TYPEDEF, by what each is called there); none without BTF."""
    from .btf.reader import TYPEDEF

    start = "btf_trace_" if kind == TYPEDEF else ""
    return {each.name[len(start) :] for each in btf or () if each.kind == kind and each.name.startswith(start)}
