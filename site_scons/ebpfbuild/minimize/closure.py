"""Finds the declarations that a program needs, and which of them whole or only declared."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from .fields import Trimmer
from .index import Index
from .names import UsedNames
from .refs import AGAIN, CHASED, DIRECT, STRONG, TWICE, VALUE, WHOLE, Composite, Mention, Typedef, references

SEED = -1  # the origin of what the program itself names

# What a typedef's own shape makes of the way it is reached: `typedef struct x *x_p` turns a value into a pointer.
_THROUGH = {
    VALUE: {VALUE: VALUE, DIRECT: AGAIN, AGAIN: AGAIN, CHASED: CHASED, TWICE: TWICE, WHOLE: WHOLE},
    DIRECT: {VALUE: DIRECT, DIRECT: DIRECT, AGAIN: DIRECT, CHASED: CHASED, TWICE: TWICE, WHOLE: DIRECT},
    AGAIN: {VALUE: AGAIN, DIRECT: AGAIN, AGAIN: AGAIN, CHASED: CHASED, TWICE: TWICE, WHOLE: AGAIN},
    CHASED: {VALUE: CHASED, DIRECT: CHASED, AGAIN: CHASED, CHASED: CHASED, TWICE: CHASED, WHOLE: CHASED},
}


class Reason(NamedTuple):
    """Says which declaration asked for another one first, or SEED, and through which of its members, if any."""

    origin: int
    member: str


@dataclass(frozen=True)
class Closure:
    """The declarations of a header to keep.

    `whole` holds numbers of declarations. `declared` maps the tags that are not kept whole to their keyword, `ahead`
    those that are but that something names before: a prototype would else declare them for itself alone (C11 6.2.1p4).
    `forwards` holds the header's own declarations of tags that the program names and the header never defines:
    BPF_PROG's prototypes need them, and a struct that the program defines under such a name has CO-RE relocations only
    because clang hands the pragma's attribute on from that declaration. `trimmed` are the numbers of structs of which
    only the program's members are kept. `reasons` gives, for a number in `whole` or `forwards` or a tag in `declared`,
    which declaration asked for it first (or SEED) and through which member.
    """

    whole: frozenset[int] = frozenset()
    declared: dict[str, str] = field(default_factory=dict)
    forwards: frozenset[int] = frozenset()
    ahead: dict[str, str] = field(default_factory=dict)
    trimmed: frozenset[int] = frozenset()
    reasons: dict[int | str, Reason] = field(default_factory=dict)


def close(
    index: Index, names: UsedNames, exact: bool, trimmer: Trimmer | None = None, keep_whole: Iterable[str] = ()
) -> Closure:
    """Returns the closure of a program's names over a header's declarations.

    `exact` keeps whole what clang's BTF would hold with the full header, too. With a `trimmer`, structs are cut down
    to the program's members, but for the tags in `keep_whole` and what those hold by value. A pure function: the same
    names give the same closure.
    """
    walk = _Walk(index, names.members, exact, trimmer)
    whole = names.values.union(keep_whole) if trimmer else frozenset()
    for name in sorted((names.tags | whole) & index.tags.keys()):
        how = WHOLE if name in whole else STRONG
        walk.reach(Mention(name, "struct", how), how, SEED, "")
    for name in sorted(names.tags - index.tags.keys()):
        walk.declare(name)
    for name in sorted(names.words.union(keep_whole) & index.ordinary.keys()):
        walk.reach(Mention(name, "", STRONG), STRONG, SEED, "")
        if trimmer:
            walk.reach(Mention(name, "", WHOLE), WHOLE, SEED, "")
    walk.run()
    return walk.closure()


class _Walk:
    """A worklist over (declaration, how) that visits each pair once."""

    def __init__(self, index: Index, members: frozenset[str], exact: bool, trimmer: Trimmer | None):
        self.index, self.members, self.trimmer = index, members, trimmer
        self.completing = VALUE | STRONG | WHOLE | (TWICE | CHASED if exact else 0)
        self.seen: dict[int, int] = {}
        self.met: set[str] = set()
        self.todo: list[tuple[int, int]] = []
        self.pointed: dict[str, str] = {}
        self.ahead: dict[str, str] = {}
        self.forwards: dict[str, int] = {}
        self.reasons: dict[int | str, Reason] = {}

    def declare(self, name: str) -> None:
        """Keeps the header's declaration of a tag that the program names, if that is all the header has of it."""
        if name in self.index.only_declared:
            number = self.forwards[name] = self.index.only_declared[name]
            self.reasons[number] = Reason(SEED, "")

    def reach(self, mention: Mention, how: int, origin: int, via: str) -> None:
        """Notes that declaration `origin` names a type in its member `via`, and keeps that type if it must be whole."""
        name, keyword, _ = mention
        again = False
        if origin != SEED and (how == AGAIN or not keyword):
            again = name in self.met
            self.met.add(name)
        if not keyword:
            number = self.index.ordinary[name]
            self._keep(number, how, origin, via)
            if again:
                self._keep(number, TWICE, origin, via)
            return
        if again:
            how = TWICE
        tagged = self.index.tags.get(name)
        if tagged is not None and origin < tagged and origin != SEED:
            self.ahead[name] = keyword
        if tagged is not None and (how & self.completing or keyword == "enum"):
            self._keep(tagged, WHOLE if how == WHOLE else VALUE, origin, via)
        elif name not in self.pointed and name not in self.forwards:
            self.pointed[name] = keyword
            self.reasons[name] = Reason(origin, via)

    def _keep(self, number: int, how: int, origin: int, via: str) -> None:
        seen = self.seen.get(number, 0)
        if seen & how:
            return
        self.seen[number] = seen | how
        if not seen:
            self.reasons[number] = Reason(origin, via)
        self.todo.append((number, how))

    def run(self) -> None:
        """Follows what is kept until nothing new is found."""
        while self.todo:
            number, how = self.todo.pop()
            found = references(self.index, number)
            if isinstance(found, Composite):
                self._composite(number, how, found)
            elif isinstance(found, Typedef):
                self._typedef(number, how, found)
            else:
                for mention in found:
                    self.reach(mention, STRONG, number, "")

    def _typedef(self, number: int, how: int, found: Typedef) -> None:
        for mention, array in found:
            through = _THROUGH[mention.how].get(how, STRONG)
            if array and how != STRONG:
                through = WHOLE if how == WHOLE else VALUE
            elif through == TWICE and mention.how == DIRECT and mention.keyword:
                through = DIRECT  # `typedef struct x *x_p` ends in a plain pointer, however often it is met
            self.reach(mention, through, number, "")

    def _composite(self, number: int, how: int, found: Composite) -> None:
        members, trimmer = self.members, self.trimmer
        value = VALUE
        if trimmer:
            trimmed = trimmer.references(number) if how != WHOLE else None
            if trimmed is None:
                value = WHOLE
                self.seen[number] |= WHOLE
            else:
                found = trimmed
        for names, mentions in found:
            strong = not members.isdisjoint(names)
            for mention in mentions:
                through = value if mention.how == VALUE else mention.how
                if strong and through != WHOLE:
                    through = STRONG
                self.reach(mention, through, number, names[0] if names else "")

    def closure(self) -> Closure:
        """Returns what the walk found, with each tag either whole or declared."""
        tags, seen = self.index.tags, self.seen
        declared = {name: keyword for name, keyword in self.pointed.items() if tags.get(name) not in seen}
        ahead = {name: keyword for name, keyword in self.ahead.items() if tags[name] in seen}
        trimmed = frozenset(number for number in seen if self.trimmer and not seen[number] & WHOLE)
        return Closure(frozenset(seen), declared, frozenset(self.forwards.values()), ahead, trimmed, self.reasons)
