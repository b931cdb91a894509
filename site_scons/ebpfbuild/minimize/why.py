"""Explains why a declaration is in a minimized header: the chain from the program's own text to it."""

import difflib
from collections.abc import Callable

from .closure import SEED
from .index import Index
from .modes import Minimized, title
from .refs import member_names

MAX_SHOWN = 3  # structs, or nearest names


def why(minimized: Minimized, name: str, where: Callable[[str], str] = lambda name: "") -> list[str]:
    """Returns the lines that explain why a type or a member was kept; each chain starts at the program.

    `name` may come with struct, union, enum or typedef before it; a member may be written `sock.sk_prot`. `where(name)`
    gives `file:line` of a name's first use by the program, or nothing (names.where does, on preprocessed text). What
    isn't kept is answered with the structs that have such a member, or with the nearest names.
    """
    owner, _, word = (name.split()[-1] if name.split() else "").rpartition(".")
    if owner:
        return _members(minimized, word, owner, where) or _left_out(minimized, word, owner)
    index, closure = minimized.index, minimized.closure
    targets = [table[word] for table in (index.tags, index.only_declared, index.ordinary) if word in table]
    found: list[int | str] = [number for number in dict.fromkeys(targets) if _kept(minimized, number)]
    found += [word] if word in closure.declared else []
    found = found or [
        key for key, reason in closure.reasons.items() if word and reason.member == word and _kept(minimized, key)
    ]
    lines = [line for key in found for line in _chain(minimized, key, word, where)]
    if lines:
        return lines
    if not targets and (lines := _members(minimized, word, "", where)):
        return lines
    if targets:
        return [f"{title(index, targets[0])} is in the full header, but nothing that the program names leads to it"]
    return _left_out(minimized, word, "")


def _members(minimized: Minimized, member: str, owner: str, where: Callable[[str], str]) -> list[str]:
    """Returns the chains to the structs kept whole that have the member, a line for it below each.

    They are in the header's order.
    """
    lines = []
    for number in _holders(minimized.index, member, owner):
        if number in minimized.closure.whole and _keeps_member(minimized, number, member):
            chain = _chain(minimized, number, owner, where)
            lines += [*chain, f"{'  ' * len(chain)}.{member}{_place_text(where(member))}"]
    return lines


def _holders(index: Index, member: str, owner: str) -> list[int]:
    """Returns the numbers of the full header's declarations that have a member.

    With `owner` it is only those of that name.
    """
    if owner:
        numbers = [table[owner] for table in (index.tags, index.ordinary) if owner in table]
    else:
        every = sorted({*index.tags.values(), *index.ordinary.values()}) if member else ()
        numbers = [number for number in every if member in index.declaration(number)]  # 50 times as fast as the parser
    return [number for number in numbers if member in member_names(index, number)]


def _keeps_member(minimized: Minimized, number: int, member: str) -> bool:
    """Returns True if a declaration that is kept still has a member: `fields` may have dropped it."""
    if number not in minimized.closure.trimmed:
        return True
    made, name = minimized.reread, title(minimized.index, number).split()[-1]
    return member in member_names(made, made.tags[name] if name in made.tags else made.ordinary[name])


def _left_out(minimized: Minimized, word: str, owner: str) -> list[str]:
    """Says of a name that isn't kept whose member it is in the full header, or what is called nearly so."""
    index, whole = minimized.index, minimized.closure.whole
    if holders := _holders(index, word, owner):
        some = ", ".join(
            [*(title(index, number) for number in holders[:MAX_SHOWN]), *(["…"] if len(holders) > MAX_SHOWN else [])]
        )
        dropped = any(number in whole for number in holders)
        why_not = "of which the program doesn't name it" if dropped else "to which nothing that the program names leads"
        return [f"{word} is a member of {some}, {why_not}"]
    number = index.tags.get(owner, index.ordinary.get(owner))
    choices = {*index.tags, *index.ordinary} if number is None else member_names(index, number)
    near = difflib.get_close_matches(word, choices, n=MAX_SHOWN) if number is not None or not owner else []
    what = f"the full header has no {owner} with a member {word}"
    if not owner:
        what = f"nothing called {word} is kept, and the full header has no such type or member"
    return [what + (f"; nearest: {', '.join(near)}" if near else "")]


def _kept(minimized: Minimized, key: int | str) -> bool:
    closure = minimized.closure
    return key in closure.whole or key in closure.forwards or key in closure.declared


def _chain(minimized: Minimized, key: int | str, word: str, where: Callable[[str], str]) -> list[str]:
    """Returns the steps from the program to one declaration, each indented below the one that asked for it."""
    index, closure = minimized.index, minimized.closure
    steps = [key]
    while (origin := closure.reasons[steps[0]].origin) != SEED:
        steps.insert(0, origin)
    named, *others = steps
    assert isinstance(named, int), "a tag that is only declared was named by another declaration"
    lines = [f"{title(index, named)}: named by the program{_seed(index, named, word, where)}"]
    for depth, step in enumerate(others, 1):
        via = closure.reasons[step].member
        text = title(index, step) if isinstance(step, int) else f"{closure.declared[step]} {step}, only declared"
        member = f".{via}{_place_text(where(via))}: " if via else ""
        lines.append("  " * depth + member + text)
    return lines


def _seed(index: Index, number: int, word: str, where: Callable[[str], str]) -> str:
    """Returns the word by which the program names a declaration, and where: that asked for, or one that has a place."""
    tables = (index.tags, index.only_declared, index.ordinary)
    names = [name for table in tables for name, each in table.items() if each == number]
    for name in sorted(names, key=lambda name: name != word):
        if where(name):
            return f" as {name}{_place_text(where(name))}"
    return ""


def _place_text(place: str) -> str:
    return f" ({place})" if place else ""
