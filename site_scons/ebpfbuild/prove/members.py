"""Compares the members of two definitions of one struct or union."""

from collections.abc import Iterator
from typing import NamedTuple

from ..btf.reader import MAX_DEPTH, Btf
from ..btf.types import COMPOSITES, TRANSPARENT, Kind, Member, Type

MAX_STRUCT_MEMBERS = 65536  # through anonymous members in one another; malformed BTF has cycles of them


class MemberComparison(NamedTuple):
    """The differences between the members of two definitions, in words, and the pairs that are in both."""

    differences: list[str]
    pairs: list[tuple[Member, Member]]


class _NestedMember(NamedTuple):
    """A named member, and the kinds of the anonymous members around it, the outermost first."""

    member: Member
    inside: tuple[str, ...]


def struct_name(btf: Btf, number: int) -> str:
    """Returns the name by which a header knows a type's struct or union.

    It is its tag, or without one its typedef's; or empty.
    """
    typedef, kind = "", btf[number]
    for _ in range(MAX_DEPTH):
        if kind.kind in COMPOSITES:
            return kind.name or typedef
        if kind.kind not in TRANSPARENT:
            return ""
        typedef, kind = kind.name if kind.kind == Kind.TYPEDEF else typedef, btf[kind.type]
    return ""


def whole_members(full: Type, small: Type) -> MemberComparison:
    """Compares two layouts, member by member of one name or, without a name, of one rank."""
    if [member[:1] + member[2:] for member in full.members] == [member[:1] + member[2:] for member in small.members]:
        return MemberComparison([], list(zip(full.members, small.members, strict=True)))
    ours, theirs = dict(_keyed(full)), dict(_keyed(small))
    both = [(key, ours[key], theirs[key]) for key in ours if key in theirs]
    words = [f"member {_shown(key)} is missing in the minimized object" for key in ours if key not in theirs]
    words += [f"member {_shown(key)} is in the minimized object only" for key in theirs if key not in ours]
    if [key for key in ours if key in theirs] != [key for key in theirs if key in ours]:
        words.append("its members are in another order")
    for key, one, other in both:
        words += _placed(_shown(key), one, other)
    return MemberComparison(words, [(one, other) for _, one, other in both])


def kept_members(full: Type, small: Type) -> MemberComparison:
    """Pairs members as `whole_members` does, but the minimized one may lack some and place others anew.

    CO-RE finds them by name. Anonymous members are looked through; a named one must be reached through the same kinds
    of them.
    """
    ours, theirs = dict(_named_members(full.btf, full)), dict(_named_members(small.btf, small))
    words: list[str] = []
    pairs: list[tuple[Member, Member]] = []
    for name, (other, inside) in theirs.items():
        if name not in ours:
            words.append(f"member {name} is in the minimized object only")
            continue
        one, where = ours[name]
        if where != inside:
            words.append(f"member {name} lies in {_nested(where)} != {_nested(inside)}")
        else:
            words += [f"member {name} has {one.bits} bits != {other.bits}"] if one.bits != other.bits else []
            pairs.append((one, other))
    return MemberComparison(words, pairs)


def _keyed(kind: Type) -> Iterator[tuple[str, Member]]:
    """Yields the members by name; one without a name by its rank among those."""
    rank = 0
    for member in kind.members:
        rank += not member.name
        yield member.name or f"#{rank}", member


def _shown(key: str) -> str:
    return f"without a name {key}" if key.startswith("#") else key


def _placed(name: str, one: Member, other: Member) -> list[str]:
    words = [f"member {name} has {one.bits} bits != {other.bits}"] if one.bits != other.bits else []
    if one.bit_offset != other.bit_offset:
        words.append(f"member {name} lies at bit {one.bit_offset} != {other.bit_offset}")
    return words


def _named_members(btf: Btf, kind: Type) -> Iterator[tuple[str, _NestedMember]]:
    """Yields the named members, each with the kinds of the anonymous ones around it.

    Members of anonymous structs are among them.
    """
    stack: list[tuple[Type, tuple[str, ...]]] = [(kind, ())]
    count = 0
    while stack:
        composite, inside = stack.pop()
        for member in composite.members:
            count += 1
            if count > MAX_STRUCT_MEMBERS:
                btf.fail(f"has more than {MAX_STRUCT_MEMBERS} members in {kind.name or kind.id}")
            target = btf.resolve(member.type)
            if member.name:
                yield member.name, _NestedMember(member, inside)
            elif target.kind in COMPOSITES:
                stack.append((target, (*inside, target.kind.name.lower())))


def _nested(inside: tuple[str, ...]) -> str:
    return "an anonymous " + " in a ".join(reversed(inside)) if inside else "the struct itself"
