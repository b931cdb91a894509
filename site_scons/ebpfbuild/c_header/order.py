"""Orders definitions so that C compiles: what is embedded comes before what embeds it (libbpf: btf_dump_order_type).

A type that is only pointed to need not be defined first, as a forward declaration does. A struct without a name is
defined where it is mentioned, so what it embeds must come first, even behind a pointer.
"""

from ..btf.types import Kind
from .tables import Tables

NOT_ORDERED, ORDERING, ORDERED = range(3)
MOST_STEPS = 64  # for each type and each member: a kernel takes 2; only malformed types have more ways than that


class Order:
    """The types that need a definition of their own, in order. Raises BtfError for a struct that contains itself."""

    def __init__(self, tables: Tables):
        self._tables = tables
        self._state = bytearray(len(tables.kinds))
        self._state[0] = ORDERED
        self._referenced = _referenced(tables)
        self._steps = MOST_STEPS * (len(tables.kinds) + sum(map(len, tables.rows.values())))
        self.queue: list[int] = []

    def add(self, number: int) -> None:
        """Adds a type and all that must be defined before it. Raises BtfError."""
        self._visit(number, False)

    def _visit(self, number: int, by_pointer: bool) -> bool:
        """Returns True if a type's own definition has to come first: it is embedded, or has no name."""
        if self._state[number] == ORDERED:
            return True
        self._steps -= 1
        if self._steps < 0:
            self._tables.btf.fail("has types that lead to one another in too many ways")
        return _VISITS[self._tables.kinds[number]](self, number, by_pointer)

    def _leaf(self, number: int, by_pointer: bool) -> bool:
        self._state[number] = ORDERED
        return False

    def _pointer(self, number: int, by_pointer: bool) -> bool:
        strong = self._visit(self._tables.targets[number], True)
        self._state[number] = ORDERED
        return strong

    def _array(self, number: int, by_pointer: bool) -> bool:
        return self._visit(self._tables.targets[number], False)

    def _through(self, number: int, by_pointer: bool) -> bool:
        return self._visit(self._tables.targets[number], by_pointer)

    def _composite(self, number: int, by_pointer: bool) -> bool:
        named = self._tables.names[number]
        if by_pointer and named:
            return False
        if self._state[number] == ORDERING:
            self._tables.btf.fail(f"has type [{number}] {named}, which contains itself")
        self._state[number] = ORDERING
        for _name, type_, _place in self._tables.rows[number]:
            if self._state[type_] != ORDERED:
                self._visit(type_, False)
        if named:
            self.queue.append(number)
        self._state[number] = ORDERED
        return True

    def _enum(self, number: int, by_pointer: bool) -> bool:
        if self._tables.names[number] or number not in self._referenced:
            self.queue.append(number)
        self._state[number] = ORDERED
        return True

    def _typedef(self, number: int, by_pointer: bool) -> bool:
        strong = self._visit(self._tables.targets[number], by_pointer)
        if by_pointer and not strong:
            return False
        self.queue.append(number)
        self._state[number] = ORDERED
        return True

    def _prototype(self, number: int, by_pointer: bool) -> bool:
        strong = self._visit(self._tables.targets[number], by_pointer)
        for _name, type_, _place in self._tables.rows[number]:
            strong = self._visit(type_, by_pointer) or strong
        return strong


_VISITS = {kind: Order._leaf for kind in range(128)} | {
    Kind.PTR: Order._pointer,
    Kind.ARRAY: Order._array,
    Kind.STRUCT: Order._composite,
    Kind.UNION: Order._composite,
    Kind.ENUM: Order._enum,
    Kind.ENUM64: Order._enum,
    Kind.FWD: Order._enum,
    Kind.TYPEDEF: Order._typedef,
    Kind.VOLATILE: Order._through,
    Kind.CONST: Order._through,
    Kind.RESTRICT: Order._through,
    Kind.TYPE_TAG: Order._through,
    Kind.FUNC_PROTO: Order._prototype,
}


def _referenced(tables: Tables) -> set[int]:
    """Returns the types that another one refers to: an enum without a name stands alone if it isn't among them."""
    found = set(tables.targets)
    for rows in tables.rows.values():
        found.update(type_ for _name, type_, _place in rows)
    return found
