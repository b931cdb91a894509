"""Orders the types of an object's BTF by what they are, not by the numbers that clang gave them.

clang appends forward declarations and the type tags of pointers to them in the order of a std::map keyed by pointers
(BTFDebug::endModule in llvm/lib/Target/BPF/BTFDebug.cpp, FixupDerivedTypes), so their numbers depend on where the heap
put its nodes: on the length of the output's path, for one. This order needs no knowledge of what clang shuffles. It
starts from what has a place in the object (functions and CO-RE relocations, in the order of their instructions, then
sections of variables by name) and follows each reference as the record has it, so any numbering of the same types
comes out as the same one.
"""

from collections.abc import Iterable

from .reader import Btf
from .types import FUNC_EXTERN, LAYOUTS, REFERS, VAR_EXTERN, Kind

MAX_RANK_ROUNDS = 64  # how far apart two types may differ that nothing leads to and that have one kind and name


REFERRING = [kind in REFERS for kind in range(max(Kind) + 1)]


class Types:
    """The records of a Btf as plain lists by number, void's first: a list is quicker to ask than an object each.

    A record is words[starts[number]:ends[number]]; `refers` are the types that it names, in its own order.
    """

    def __init__(self, btf: Btf):
        self.btf, self.words = btf, btf.words.tolist()
        self.starts, self.ends = btf.starts.tolist(), [*btf.starts[1:], len(btf.words)]
        self.starts[0] = self.ends[0] = 0
        self.kinds = [int(Kind.VOID)]
        self.refers: list[list[int]] = [[]]
        words = self.words
        for start, end in zip(self.starts[1:], self.ends[1:]):
            kind = words[start + 1] >> 24 & 0x7F
            refers = [words[start + 2]] if REFERRING[kind] else []
            if end - start > 3 and (layout := LAYOUTS[kind]).types:
                for column in layout.types:
                    refers += words[start + 3 + column : end : layout.each or layout.fixed]
            self.kinds.append(kind)
            self.refers.append(refers)

    def of_kind(self, kind: Kind) -> list[int]:
        """Returns the numbers of all types of a kind."""
        return [number for number, each in enumerate(self.kinds) if each == kind]

    def name(self, number: int) -> bytes:
        """Returns a type's name. Raises BtfError for one without an end."""
        return self.btf.string_bytes(self.words[self.starts[number]])

    def entries(self, section: int) -> list[int]:
        """Returns the places of a DATASEC's entries in the order that they are written in.

        Externs stand by kind and name: they have no place in the section, and libbpf sorts them itself. All others keep
        theirs, in which libbpf makes the maps.
        """
        keys = [(self.kinds[number], self.name(number)) for number in self.refers[section] if self._extern(number)]
        rows = range(len(self.refers[section]))
        placed = any(self.words[self.starts[section] + 4 : self.ends[section] : 3])
        return list(rows) if placed or len(keys) < len(rows) else sorted(rows, key=keys.__getitem__)

    def _extern(self, number: int) -> bool:
        """Returns True if this is a function or a variable that is defined elsewhere."""
        start, kind = self.starts[number], self.kinds[number]
        if kind == Kind.FUNC:
            return self.words[start + 1] & 0xFFFF == FUNC_EXTERN
        return kind == Kind.VAR and self.words[start + 3] == VAR_EXTERN


def canonical_order(types: Types, placed: Iterable[int]) -> list[int]:
    """Returns all types but void in canonical order, by their present numbers.

    `placed` are those that instructions refer to, in the order of the instructions. Raises BtfError for a name without
    an end.
    """
    walk = _Walk(types)
    for number in placed:
        walk.visit(number)
    for number in sorted(types.of_kind(Kind.DATASEC), key=types.name):
        walk.visit(number)
    for number in walk.unplaced():
        walk.visit(number)
    return walk.found


class _Walk:
    """Numbers types as they are reached, each before what it refers to, what it refers to in the record's order."""

    def __init__(self, types: Types):
        self.types = types
        self.found: list[int] = []
        self.seen = bytearray(len(types.kinds))
        self.seen[0] = 1
        self.leads: list[list[int]] = list(types.refers)
        for section in types.of_kind(Kind.DATASEC):
            self.leads[section] = [types.refers[section][place] for place in types.entries(section)]
        self._lead_to_tags()

    def _lead_to_tags(self) -> None:
        """Turns declaration tags round: what is tagged leads to its tags, by component and text."""
        types = self.types
        tags: dict[int, list[tuple[int, bytes, int]]] = {}
        for number in types.of_kind(Kind.DECL_TAG):
            row = types.words[types.starts[number] + 3], types.name(number), number
            tags.setdefault(types.refers[number][0], []).append(row)
            self.leads[number] = []
        for number, rows in tags.items():
            self.leads[number] = [*self.leads[number], *(row[-1] for row in sorted(rows))]

    def visit(self, number: int) -> None:
        """Numbers a type and all that it leads to."""
        seen, leads, stack = self.seen, self.leads, [number]
        while stack:
            number = stack.pop()
            if not seen[number]:
                seen[number] = 1
                self.found.append(number)
                stack += leads[number][::-1]

    def unplaced(self) -> list[int]:
        """Returns the types that nothing placed leads to, by kind, name and structure.

        Those that no other one leads to come first.
        """
        rest = [number for number, seen in enumerate(self.seen) if not seen]
        if len(rest) < 2:
            return rest
        ranks = self._ranks(rest)
        led_to = {number for each in rest for number in self.leads[each]}
        return sorted(rest, key=lambda number: (number in led_to, ranks[number]))

    def _ranks(self, rest: list[int]) -> dict[int, tuple[int, int]]:
        """Ranks types by their own records, then by those that they lead to, and so on while that tells more.

        Types that keep one rank are the same in all that can be seen of them, so either may come first.
        """
        places = {number: (0, place) for place, number in enumerate(self.found, 1)}
        keys: dict[int, tuple[object, ...]] = {number: self._shape(number) for number in rest}
        ranks: dict[int, tuple[int, int]] = {}
        distinct = 0
        for _ in range(MAX_RANK_ROUNDS):
            by_key = {key: (1, rank) for rank, key in enumerate(sorted(set(keys.values())))}
            ranks = {number: by_key[keys[number]] for number in rest}
            if len(by_key) in (distinct, len(rest)):
                break
            distinct = len(by_key)
            known = {0: (0, 0), **places, **ranks}
            keys = {number: (ranks[number], *(known[to] for to in self.leads[number])) for number in rest}
        return ranks

    def _shape(self, number: int) -> tuple[object, ...]:
        """Returns all of a record but numbers of types: its kind, its names, its other words."""
        types = self.types
        start, end, kind = types.starts[number], types.ends[number], types.kinds[number]
        layout, words = LAYOUTS[kind], types.words[start:end]
        offsets, words[0] = [words[0]], 0
        if REFERRING[kind]:
            words[2] = 0
        step = layout.each or layout.fixed
        for column in layout.names:
            offsets += words[3 + column :: step]
        for column in (*layout.names, *layout.types):
            words[3 + column :: step] = [0] * len(words[3 + column :: step])
        return kind, tuple(map(types.btf.string_bytes, offsets)), tuple(words)
