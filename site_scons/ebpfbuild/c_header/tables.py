"""Holds a BTF's records as plain lists by type number: a list is quicker to ask than an object each.

A kernel has some 130,000 types with 400,000 members and parameters, each of which is looked at several times.
"""

from itertools import accumulate

from ..btf.reader import Btf
from ..btf.types import COMPOSITES, REFERS, Kind

Row = tuple[str, int, int]  # a member: its name, its type, its place; a parameter: name, type, 0

REFERRING = [kind in REFERS for kind in range(128)]


class Tables:
    """The types of a BTF and of its base, void's first: `kinds`, `names`, `words` (size or type), `flags` by number.

    `rows` are the members of structs and unions and the parameters of prototypes, by number; `targets` what a pointer,
    a typedef, a qualifier, an array … leads to.
    """

    def __init__(self, btf: Btf):
        self.btf = btf
        self.kinds, self.names, self.words = [int(Kind.VOID)], [""], [0]
        self.flags, self.targets = [0], [0]
        self.rows: dict[int, list[Row]] = {}
        self.lengths: dict[int, int] = {}
        for part in _parts(btf):
            self._add(part)

    def _add(self, part: Btf) -> None:
        words, strings = part.words.tolist(), _strings(part)
        ends = [*part.starts[2:], len(words)]
        array, proto = int(Kind.ARRAY), int(Kind.FUNC_PROTO)
        composites, referring = set(map(int, COMPOSITES)), REFERRING
        kinds, targets = self.kinds, self.targets
        for number, (start, end) in enumerate(zip(part.starts[1:], ends), part.first):
            name, info, word = words[start : start + 3]
            kind = info >> 24 & 0x7F
            kinds.append(kind)
            self.names.append(strings[name] if name in strings else part.string(name))
            self.words.append(word)
            self.flags.append(info >> 31)
            targets.append(word if referring[kind] else 0)
            if kind in composites:
                names = [strings[at] if at in strings else part.string(at) for at in words[start + 3 : end : 3]]
                self.rows[number] = list(zip(names, words[start + 4 : end : 3], words[start + 5 : end : 3]))
            elif kind == proto:
                names = [strings[at] if at in strings else part.string(at) for at in words[start + 3 : end : 2]]
                self.rows[number] = [(name, type_, 0) for name, type_ in zip(names, words[start + 4 : end : 2])]
            elif kind == array:
                targets[number], self.lengths[number] = words[start + 3], words[start + 5]


def _parts(btf: Btf) -> list[Btf]:
    """Returns a BTF and those that it continues, the first of them first."""
    return [*_parts(btf.base), btf] if btf.base else [btf]


def _strings(btf: Btf) -> dict[int, str]:
    """Returns each string by its offset; not those that lie inside of another, at its end."""
    try:
        texts = btf.strings[:-1].decode("ascii").split("\0")
    except UnicodeDecodeError:
        return {}
    places = accumulate((len(text) + 1 for text in texts), initial=btf.first_string)
    return {0: "", **dict(zip(places, texts))}
