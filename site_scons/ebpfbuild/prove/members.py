"""Compares the members of two definitions of one struct or union."""

from collections.abc import Iterator

from ..btf.reader import MAX_DEPTH, Btf
from ..btf.types import COMPOSITES, TRANSPARENT, Kind, Member, Type

MAX_STRUCT_MEMBERS = 65536  # through anonymous members in one another; malformed BTF has cycles of them

Pairs = list[tuple[Member, Member]]


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


def whole_members(full: Type, small: Type) -> tuple[list[str], Pairs]:
    """Compares two layouts: returns the differences in words, and the members in both, by name or else by rank."""
    if [member[:1] + member[2:] for member in full.members] == [member[:1] + member[2:] for member in small.members]:
        return [], list(zip(full.members, small.members, strict=True))
    ours, theirs = dict(_keyed(full)), dict(_keyed(small))
    both = [(key, ours[key], theirs[key]) for key in ours if key in theirs]
    words = [f"member {_shown(key)} is missing in the minimized object" for key in ours if key not in theirs]
    words += [f"member {_shown(key)} is in the minimized object only" for key in theirs if key not in ours]
    if [key for key in ours if key in theirs] != [key for key in theirs if key in ours]:
        words.append("its members are in another order")
    for key, one, other in both:
        words += _placed(_shown(key), one, other)
    return words, [(one, other) for _, one, other in both]


def kept_members(full: Type, small: Type) -> tuple[list[str], Pairs]:
    """Pairs members as `whole_members` does, but the minimized one may lack some and place others anew.

    CO-RE finds them by name. Anonymous members are looked through; a named one must be reached through the same kinds
    of them.
    """
    ours, theirs = dict(_named(full.btf, full)), dict(_named(small.btf, small))
    words, pairs = [], []
    for name, (other, inside) in theirs.items():
        one, where = ours.get(name, (None, ()))
        if one is None:
            words.append(f"member {name} is in the minimized object only")
        elif where != inside:
            words.append(f"member {name} lies in {_nested(where)} != {_nested(inside)}")
        else:
            words += [f"member {name} has {one.bits} bits != {other.bits}"] if one.bits != other.bits else []
            pairs.append((one, other))
    return words, pairs


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


def _named(btf: Btf, kind: Type) -> Iterator[tuple[str, tuple[Member, tuple[str, ...]]]]:
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
                yield member.name, (member, inside)
            elif target.kind in COMPOSITES:
                stack.append((target, (*inside, target.kind.name.lower())))


def _nested(inside: tuple[str, ...]) -> str:
    return "an anonymous " + " in a ".join(reversed(inside)) if inside else "the struct itself"
