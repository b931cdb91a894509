"""Compares the types of two objects in lockstep: from each root, both graphs are walked over the same edges at once.

A pair of types that is met is compared once, so cycles end and the time is linear in what is reached. In `exact` the
pairs must also be one to one, and no type may be left over: then the graphs are the same but for the numbers.
"""

from collections import Counter, deque
from collections.abc import Callable
from enum import IntEnum
from itertools import zip_longest
from typing import NamedTuple

from ..btf.c_text import declaration
from ..btf.reader import Btf
from ..btf.types import C_KEYWORDS, COMPOSITES, ENUMS, Kind, Type
from .members import kept_members, whole_members

# btf_type_tags for which the kernel reads what a pointer in a map's value points to: kernel/bpf/btf.c, btf_find_kptr.
KERNEL_POINTERS = ("kptr", "kptr_untrusted", "percpu_kptr", "uptr")


class Level(IntEnum):
    """The part of a type that counts where it is met; what is met anew with a higher level is compared again."""

    NAMED = 0  # it may be declared only: a pointer points to it and nobody looks inside
    COMPLETE = 1  # it must be defined where the full header defines it: libbpf matches its kind and name
    WHOLE = 2  # all of its layout: used by value, a map's key or value, or read by the kernel


class TypePair(NamedTuple):
    """Two types to be compared, and the edge of an earlier meeting over which they were reached."""

    full: Type
    small: Type
    level: Level
    edge: str
    parent: "TypePair | None"


class TypeComparison:
    """Two type graphs and what of them was met; `differ(text, name of the struct concerned)` receives what differs."""

    def __init__(self, full: Btf, small: Btf, mode: str, differ: Callable[[str, str], None]):
        self.full, self.small, self.differ = full, small, differ
        self.exact, self.subset = mode == "exact", mode == "fields"
        self._levels: dict[tuple[int, int], Level] = {}
        self._differing = False
        self._partner, self._owner = {0: 0}, {0: 0}
        self._queue: deque[TypePair] = deque()

    def enqueue(self, full: int, small: int, level: Level, edge: str, parent: TypePair | None = None) -> None:
        """Asks for two types to be compared; `edge` says how they were reached, as `.member` or `variable x`."""
        level = Level.WHOLE if self.exact else level
        if self._levels.get((full, small), -1) < level:
            self._levels[full, small] = level
            self._queue.append(TypePair(self.full[full], self.small[small], level, edge, parent))

    def run(self) -> None:
        """Compares all that was asked for and all that is reached from there."""
        while self._queue:
            self._compare(self._queue.popleft())

    def compare_unreached(self) -> None:
        """Compares the types that no root reaches, by their own facts, unless the walk has met a difference."""
        if self._differing:
            return
        ours, theirs = self._count_unreached(self.full, self._partner), self._count_unreached(self.small, self._owner)
        for text in sorted((ours - theirs).elements()):
            self.differ(f"type {text} is missing in the minimized object", "")
        for text in sorted((theirs - ours).elements()):
            self.differ(f"type {text} is in the minimized object only", "")

    def _count_unreached(self, btf: Btf, met: dict[int, int]) -> Counter[str]:
        kinds = (kind for kind in btf if kind.id not in met and kind.kind != Kind.DATASEC)
        return Counter(_summary(kind) for kind in kinds if kind.kind != Kind.DECL_TAG or kind.type not in met)

    def _one_to_one(self, met: TypePair) -> bool:
        """Notes the pair. In `exact` a type that has another partner already is a difference; the walk ends there."""
        full, small = met.full.id, met.small.id
        if not self.exact:
            return True
        partner, owner = self._partner.setdefault(full, small), self._owner.setdefault(small, full)
        if partner == small and owner == full:
            return True
        if partner != small:
            self._report(met, f"is also {_text(self.small[partner])} != {_text(met.small)}")
        else:
            self._report(met, f"{_text(met.full)} and {_text(self.full[owner])} are one type: {_text(met.small)}")
        return False

    def _report(self, met: TypePair, what: str, above: bool = False) -> None:
        """Names the place by the nearest named type, as `struct sock.sk_lock`; `above`: one above the type itself."""
        steps, at = "", met
        while at.parent and (above or not _title(at.full)):
            steps, at, above = at.edge + steps, at.parent, False
        place = at.edge if above or not _title(at.full) else _title(at.full)
        self._differing = True
        self.differ(f"{place}{steps}: {what}", _concerned(met))

    def _compare(self, met: TypePair) -> None:
        full, small = met.full, met.small
        if full.kind != small.kind or full.name != small.name:
            declared = _declares(small, full) or _declares(full, small)
            if self.exact or met.level > Level.NAMED or not declared:
                self._report(met, f"{_text(full)} != {_text(small)}", above=True)
            return
        if not self._one_to_one(met):
            return
        ours, theirs = _facts(full), _facts(small)
        for name in ours:
            if ours[name] != theirs[name]:
                self._report(met, f"{name} {ours[name]} != {theirs[name]}")
        if full.kind in COMPOSITES:
            self._composites(met)
        elif full.kind in ENUMS:
            self._enumerators(met)
        else:
            self._follow(met)
        self._tags(met)

    def _composites(self, met: TypePair) -> None:
        subset = self.subset and met.level < Level.WHOLE
        words, pairs = (kept_members if subset else whole_members)(met.full, met.small)
        if not subset and met.full.size != met.small.size:
            words = [f"size {met.full.size} != {met.small.size}", *words]
        for text in words:
            self._report(met, text)
        for one, other in pairs:
            edge = f".{one.name}" if one.name else ""
            self.enqueue(one.type, other.type, Level.NAMED if subset else Level.WHOLE, edge, met)

    def _enumerators(self, met: TypePair) -> None:
        for one, other in zip_longest(met.full.values, met.small.values):
            if one != other:
                texts = (f"{value.name} = {value.value}" if value else "nothing" for value in (one, other))
                self._report(met, "enumerator {} != {}".format(*texts))
                return

    def _tags(self, met: TypePair) -> None:
        ours, theirs = _tags(met.full), _tags(met.small)
        for name, of in sorted(ours ^ theirs):
            self._report(met, f"tag {name!r}{f' of {of}' if of else ''} is in one object only")

    def _follow(self, met: TypePair) -> None:
        """Meets what the types refer to."""
        full, small, level = met.full, met.small, met.level
        if full.kind == Kind.PTR:
            level = Level.NAMED if level == Level.WHOLE else level
        elif full.kind == Kind.TYPE_TAG and full.name in KERNEL_POINTERS:
            level = Level.WHOLE if full.name == "uptr" else Level.COMPLETE
        elif full.kind == Kind.FUNC_PROTO:
            level = Level.NAMED if level == Level.WHOLE else level
            for index, (one, other) in enumerate(zip(full.params, small.params, strict=False), 1):
                self.enqueue(one.type, other.type, level, f" argument {index}", met)
        edge = {Kind.FUNC_PROTO: " result", Kind.ARRAY: "[]"}.get(full.kind, "")
        self.enqueue(full.type, small.type, level, edge, met)
        if full.kind == Kind.ARRAY:
            self.enqueue(full.index_type, small.index_type, level, " index", met)


def _facts(kind: Type) -> dict[str, object]:
    """Returns what a type states of itself beside its name, members and enumerators, by the words for it."""
    if kind.kind == Kind.INT:
        return {"size": kind.size, "bits": kind.bits, "bit offset": kind.bit_offset, "signed": kind.signed,
                "char": kind.char, "bool": kind.bool}  # fmt: skip
    if kind.kind in ENUMS:
        return {"size": kind.size, "signed": kind.signed}
    if kind.kind == Kind.FUNC_PROTO:
        return {"parameters": len(kind.params), "parameter names": [param.name for param in kind.params]}
    if kind.kind in (Kind.FUNC, Kind.VAR):
        return {"linkage": kind.linkage}
    if kind.kind == Kind.ARRAY:
        return {"length": kind.length}
    if kind.kind == Kind.FLOAT:
        return {"size": kind.size}
    return {"union": kind.flag} if kind.kind == Kind.FWD else {}


def _declares(one: Type, other: Type) -> bool:
    """Returns True if one is the forward declaration of the other."""
    return one.kind == Kind.FWD and other.kind == (Kind.UNION if one.flag else Kind.STRUCT) and one.name == other.name


def _title(kind: Type) -> str:
    if kind.kind in C_KEYWORDS and kind.name:
        return f"{C_KEYWORDS[kind.kind]} {kind.name}"
    return kind.name if kind.kind in (Kind.FUNC, Kind.TYPEDEF) else ""


def _text(kind: Type) -> str:
    if kind.kind in (Kind.FUNC, Kind.VAR, Kind.DATASEC):
        return f"{kind.kind.name} {kind.name}"
    return ("a declared " if kind.kind == Kind.FWD else "") + declaration(kind.btf, kind.id)


def _summary(kind: Type) -> str:
    facts = "".join(f" {name} {value}" for name, value in _facts(kind).items())
    return f"{kind.kind.name} {_text(kind)}{facts}{f' size {kind.size}' if kind.kind in COMPOSITES else ''}"


def _concerned(met: TypePair | None) -> str:
    """Returns the name of the struct or union to keep whole.

    It is the nearest one with a name on the way to the difference.
    """
    while met:
        above = met.parent
        if met.full.kind in COMPOSITES:
            typedef = above.full.name if above and above.full.kind == Kind.TYPEDEF else ""
            if met.full.name or typedef:
                return met.full.name or typedef
        met = above
    return ""


def _tags(kind: Type) -> set[tuple[str, str]]:
    """Returns the DECL_TAGs of a type, each with the member or the parameter it is of; empty for the type itself."""
    names = [*(member.name for member in kind.members), *(param.name for param in kind.params)]
    return {(tag.name, _component(tag, names)) for tag in kind.btf.tags(kind.id)}


def _component(tag: Type, names: list[str]) -> str:
    index = tag.component
    return "" if index < 0 else names[index] if index < len(names) else f"argument {index + 1}"
