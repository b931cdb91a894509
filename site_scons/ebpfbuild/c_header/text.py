"""Writes declarators and definitions in C (libbpf: btf_dump_emit_type_chain and its kin)."""

from ..btf.types import COMPOSITES, Kind
from .layout import Layout
from .tables import Tables

QUALIFIERS = {int(Kind.CONST): "const", int(Kind.VOLATILE): "volatile", int(Kind.RESTRICT): "restrict"}
KEYWORDS = {int(Kind.STRUCT): "struct", int(Kind.UNION): "union", int(Kind.ENUM): "enum", int(Kind.ENUM64): "enum"}
INLINE = (Kind.STRUCT, Kind.UNION, Kind.ENUM, Kind.ENUM64)  # those that are defined where they stand, without a name
LINKS = (Kind.PTR, Kind.VOLATILE, Kind.CONST, Kind.RESTRICT, Kind.FUNC_PROTO, Kind.TYPE_TAG, Kind.ARRAY)
MAX_CHAIN = 200  # pointers, arrays, qualifiers … in a declaration
MAX_NESTED = 64  # prototypes and structs without names in one another
MOST_PARTS = 64  # written for each type and member: only malformed types, shared in many ways, have more
VA_LIST = ("__builtin_va_list", "__gnuc_va_list")  # the compiler's own; gcc's old alias of it, with a type of void


class Text:
    """The C text of a BTF's types, each one's name with a suffix where another type has it: `name___2`."""

    def __init__(self, tables: Tables, layout: Layout):
        self._tables, self._layout = tables, layout
        self._known: dict[tuple[int, bool], tuple[str, str]] = {}
        self._names: dict[int, str] = {}
        self._tags: dict[str, int] = {}
        self._idents: dict[str, int] = {}
        self._left = MOST_PARTS * (len(tables.kinds) + sum(map(len, tables.rows.values())))
        self._nested = 0

    def name(self, number: int) -> str:
        """Returns the name of a type in C, with a suffix from the second type of that name on; empty for none."""
        known = self._names.get(number)
        if known is None:
            tables = self._tables
            kind, name = tables.kinds[number], tables.names[number]
            if name and kind != Kind.FWD and not (kind in (Kind.ENUM, Kind.ENUM64) and not tables.btf[number].count):
                count = self._count(self._idents if kind == Kind.TYPEDEF else self._tags, name)
                name = f"{name}___{count}" if count > 1 else name
            known = self._names[number] = name
        return known

    @staticmethod
    def _count(names: dict[str, int], name: str) -> int:
        count = names[name] = names.get(name, 0) + 1
        return count

    def declaration(self, number: int, name: str, level: int = 0) -> str:
        """Returns the declaration of `name` with a type; without a name that of the type alone."""
        left, right = self._around(number, bool(name), level)
        return f"{left}{name}{right}"

    def _around(self, number: int, named: bool, level: int) -> tuple[str, str]:
        """Returns what stands before and behind the name in a declaration with a type."""
        known = self._known.get((number, named))
        if known is not None:
            return known
        tables, chain = self._tables, [number]
        kind = tables.kinds[number]
        while kind in LINKS:
            number = tables.targets[number]
            kind = tables.kinds[number]
            chain.append(number)
            if len(chain) > MAX_CHAIN:
                tables.btf.fail(f"has type [{chain[0]}] of more than {MAX_CHAIN} parts")
        first, inline = chain[0], kind in INLINE and not tables.names[number]
        self._left -= len(chain)
        self._nested += 1
        if self._left < 0 or self._nested > MAX_NESTED:
            tables.btf.fail(f"has type [{first}] of too many parts to be written as C")
        found = self._chain(chain, named, level)
        self._nested -= 1
        if not inline:  # a struct that is defined in place is indented as its place is
            self._known[first, named] = found
        return found

    def _chain(self, chain: list[int], named: bool, level: int) -> tuple[str, str]:
        """Writes a declaration from its innermost type, the last of `chain`, outwards."""
        tables, left, behind_pointer = self._tables, "", True
        while chain:
            number = chain.pop()
            kind = tables.kinds[number]
            if kind == Kind.PTR:
                left += "*" if behind_pointer else " *"
            elif kind in QUALIFIERS:
                left += " " + QUALIFIERS[kind]
            elif kind == Kind.ARRAY:
                return self._array(chain, left, f"[{tables.lengths[number]}]", named, behind_pointer, level)
            elif kind == Kind.FUNC_PROTO:
                return self._prototype(chain, left, number, named, behind_pointer, level)
            elif kind == Kind.TYPE_TAG:
                tag = tables.names[number]
                text = tag if tables.flags[number] else f'btf_type_tag("{tag}")'
                left += f"{self._qualifiers(chain)} __attribute__(({text}))"
            else:
                left += self._qualifiers(chain) + self._base(number, kind, level)
            behind_pointer = kind == Kind.PTR
        return (left + " " if named and not behind_pointer else left), ""

    def _qualifiers(self, chain: list[int]) -> str:
        """Takes the qualifiers of what was just taken from the chain: in C they stand before it."""
        found = ""
        while chain and (text := QUALIFIERS.get(self._tables.kinds[chain[-1]])):
            found += text + " "
            chain.pop()
        return found

    def _drop_modifiers(self, chain: list[int]) -> None:
        """Drops what gcc writes about arrays and functions, and C doesn't know: only their elements are qualified."""
        while chain and (self._tables.kinds[chain[-1]] in QUALIFIERS or self._tables.kinds[chain[-1]] == Kind.TYPE_TAG):
            chain.pop()

    def _array(
        self, chain: list[int], left: str, length: str, named: bool, behind_pointer: bool, level: int
    ) -> tuple[str, str]:
        self._drop_modifiers(chain)
        space = " " if named and not behind_pointer else ""
        if not chain:
            return left + space, length
        of_array = self._tables.kinds[chain[-1]] == Kind.ARRAY
        inner, behind = self._chain(chain, named, level)
        if of_array:
            return f"{left}{space}{inner}", f"{behind}{length}"
        return f"{left}{space}({inner}", f"{behind}){length}"

    def _prototype(
        self, chain: list[int], left: str, number: int, named: bool, behind_pointer: bool, level: int
    ) -> tuple[str, str]:
        self._drop_modifiers(chain)
        if chain:
            inner, behind = self._chain(chain, named, level)
            left, behind = f"{left} ({inner}", f"{behind})"
        else:
            left, behind = (left + " " if named and not behind_pointer else left), ""
        return left, f"{behind}({self._parameters(number, level)})"

    def _parameters(self, number: int, level: int) -> str:
        rows = self._tables.rows[number]
        if not rows or (len(rows) == 1 and not rows[0][1]):
            return "void"
        texts = [self.declaration(type_, name, level) for name, type_, _ in rows if type_]
        return ", ".join(texts if rows[-1][1] else [*texts, "..."])

    def _base(self, number: int, kind: int, level: int) -> str:
        if not number:
            return "void"
        if kind == Kind.FWD:
            return self.forward(number)
        if kind in (Kind.ENUM, Kind.ENUM64):
            return f"enum {self.name(number)}" if self._tables.names[number] else self.enum(number, level)
        if kind in (Kind.STRUCT, Kind.UNION):
            return self.forward(number) if self._tables.names[number] else self.composite(number, level)
        if kind == Kind.TYPEDEF:
            return self.name(number)
        if kind in (Kind.INT, Kind.FLOAT):
            return self._tables.names[number]
        self._tables.btf.fail(f"has type [{number}] of kind {kind} in a declaration")

    def forward(self, number: int) -> str:
        """Returns `struct name` or `union name`."""
        tables = self._tables
        kind, name = tables.kinds[number], self.name(number)
        keyword = ("union" if tables.flags[number] else "struct") if kind == Kind.FWD else KEYWORDS[kind]
        return f"{keyword} {name}" if name else keyword

    def composite(self, number: int, level: int = 0, embedded: bool = False) -> str:
        """Returns a struct's or union's definition, with the padding that its members' places ask for.

        One that is `embedded` has no name there, whatever its own is.
        """
        tables, plan = self._tables, self._layout.plan(number)
        rows, split = tables.rows[number], tables.flags[number]
        line = "\n" + "\t" * (level + 1)
        out = [KEYWORDS[tables.kinds[number]] if embedded else self.forward(number), " {"]
        for place, (name, type_, at) in enumerate(rows):
            if plan.before:
                out += [f"{line}{pad}: {bits};" for pad, bits in plan.before[place]]
            out += line, self._member(type_, name, level + 1)
            out.append(f": {at >> 24};" if split and at >> 24 else ";")
        behind = [f"{pad}: {bits};" for pad, bits in plan.behind]
        if tables.kinds[number] == Kind.UNION and len(behind) > 1:
            behind = [f"struct {{ {' '.join(behind)} }};"]
        out += [line + pad for pad in behind]
        if tables.words[number] or rows:
            out.append("\n" + "\t" * level)
        out.append("} __attribute__((packed))" if plan.packed else "}")
        return "".join(out)

    def _member(self, number: int, name: str, level: int) -> str:
        """Returns a member's declaration, which must have the size that the kernel's member has.

        A struct that is embedded without a name, as -fms-extensions allows since Linux 6.19, is nothing at all to
        another compiler, so it is written as one without a name. The compiler's va_list for BPF isn't the kernel's, so
        what stands behind that is declared.
        """
        tables = self._tables
        if not name and tables.kinds[number] in COMPOSITES and tables.names[number]:
            return self.composite(number, level, embedded=True)
        target = number
        for _ in range(MAX_CHAIN):
            if tables.kinds[target] != Kind.TYPEDEF:
                break
            if tables.names[target] == VA_LIST[0]:
                return self.declaration(tables.targets[target], name, level)
            target = tables.targets[target]
        return self.declaration(number, name, level)

    def enum(self, number: int, level: int = 0) -> str:
        """Returns an enum's definition; `enum name` for one whose values aren't known."""
        kind = self._tables.btf[number]
        head = f"enum {self.name(number)}" if self._tables.names[number] else "enum"
        if not kind.count:
            return head
        wide, line = kind.kind == Kind.ENUM64, "\n" + "\t" * (level + 1)
        suffix = ("LL" if kind.flag else "ULL") if wide else ""
        lines = [f"{line}{self._ident(name)} = {value}{suffix}," for name, value in kind.values]
        mode = self._enum_mode(kind.size, wide, [value for _, value in kind.values])
        return f"{head} {{{''.join(lines)}\n{chr(9) * level}}}{f' __attribute__(({mode}))' if mode else ''}"

    def _enum_mode(self, size: int, wide: bool, values: list[int]) -> str:
        """Returns the attribute that gives an enum its size, where its values alone don't; clang's modes are signed."""
        if size in (1, 2):
            return {1: "mode(byte)", 2: "mode(HI)"}[size] if max(values) < 1 << 8 * size - 1 else "packed"
        needs_it = wide and any(not 0 <= value < 1 << 32 for value in values)
        return "mode(word)" if size == 8 and self._tables.btf.pointer == 8 and not needs_it else ""

    def _ident(self, name: str) -> str:
        """Returns an enumerator's name, with a suffix where a typedef or another enumerator has it."""
        count = self._count(self._idents, name)
        return f"{name}___{count}" if count > 1 else name

    def typedef(self, number: int) -> str:
        """Returns a typedef; empty for the compiler's own types."""
        name = self.name(number)
        if name == VA_LIST[0]:
            return ""
        if name == VA_LIST[1] and not self._tables.targets[number]:
            return "typedef __builtin_va_list __gnuc_va_list"
        return f"typedef {self.declaration(self._tables.targets[number], name)}"
