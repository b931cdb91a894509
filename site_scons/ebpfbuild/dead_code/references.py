"""Finds what an object's instructions refer to: functions that they call, read-only data, names that the kernel has."""

from bisect import bisect_right
from typing import NamedTuple

from ..core_relo.relocated import Relocated
from ..elf.reader import INSN_SIZE
from ..spec.object import ObjectSpec

PSEUDO_CALL = 1  # in the source register of a call: of a function of the object


class Reference(NamedTuple):
    """The target of an instruction: a function by its index, a place in a section, or an extern by its name.

    A map is a place in `.maps`.
    """

    function: int = -1
    section: str = ""
    offset: int = 0
    name: str = ""


class References:
    """The references of all of an object's functions, by section and offset of the instruction."""

    def __init__(self, spec: ObjectSpec, functions: list[Relocated]):
        self._elf = spec.elf
        places = ((each.spec.section, each.spec.offset, number) for number, each in enumerate(functions))
        self._functions = sorted(places)
        self._found: dict[tuple[str, int], Reference] = {}
        for name in {each.spec.section for each in functions}:
            self._read(name)

    def _read(self, name: str) -> None:
        section = self._elf.section(name)
        if section is None:
            return
        for row in self._elf.relocations(section):
            symbol = self._elf.symbols[row.symbol]
            if not 0 < symbol.section < len(self._elf.sections):
                self._found[name, row.offset] = Reference(name=symbol.name)
                continue
            target = self._elf.sections[symbol.section].name
            code = section.data[row.offset : row.offset + INSN_SIZE]
            added = int.from_bytes(code[4:8], "little" if self._elf.little else "big", signed=True)
            is_call = code[:1] == b"\x85"
            offset = symbol.value + ((added + 1) * INSN_SIZE if is_call else added)
            function = self._function(target, offset)
            self._found[name, row.offset] = Reference(function, target, offset, symbol.name)

    def _function(self, section: str, offset: int) -> int:
        """Returns the index of the function that begins at a place; -1 for none."""
        at = bisect_right(self._functions, (section, offset, len(self._functions))) - 1
        found = self._functions[at] if at >= 0 else ("", 0, -1)
        return found[2] if found[:2] == (section, offset) else -1

    def of(self, function: Relocated, at: int) -> Reference | None:
        """Returns what the instruction at an index refers to; None for nothing."""
        place = function.spec.offset + at * INSN_SIZE
        found = self._found.get((function.spec.section, place))
        insn = function.code[at]
        if found is None and insn.code == 0x85 and insn.src == PSEUDO_CALL:  # within its section, no relocation is left
            target = place + (insn.imm + 1) * INSN_SIZE
            return Reference(self._function(function.spec.section, target), function.spec.section, target)
        return found
