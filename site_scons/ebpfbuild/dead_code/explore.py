"""Walks all paths of a program that the kernel's verifier would, with what is constant on them.

The verifier doesn't look at what no path leads to: code behind a `bpf_core_field_exists` that fails, behind a version,
or behind a `const volatile` as the object sets it. Unlike it, this joins paths once many differ at one instruction, so
that any program ends soon; what it then calls reachable may be dead, never the other way around.
"""

from collections import defaultdict
from collections.abc import Mapping
from typing import NamedTuple

from ..core_relo.patch import BAD_RELOCATION, BYTES, FROM_REGISTER, JMP, JMP32, LDX, ST, STX, Insn, imm64, instructions
from ..core_relo.relocated import Relocated
from ..elf.reader import INSN_SIZE, LD_IMM64
from ..spec.object import ObjectSpec
from .references import PSEUDO_CALL, Reference, References
from .state import FRAME, State
from .values import (
    CALL,
    EXIT,
    JA,
    JCOND,
    JEQ,
    JNE,
    MASK64,
    SOMEWHERE,
    Argument,
    Known,
    Pointer,
    alu,
    decide,
)

MAX_STATES = 16  # at one instruction, before they are joined
MAX_FRAMES = 8  # the kernel's MAX_CALL_FRAMES
MEM, MODE_MASK = 0x60, 0xE0
ADD_VALUE = 0x07  # the opcode BPF_ALU64 | BPF_ADD | BPF_K


class Place(NamedTuple):
    """An instruction: its function's index and its own in that."""

    function: int
    at: int


class Reached:
    """The instructions that a program gets to, and the arguments that it reads.

    places      its instructions
    arguments   the traced function's arguments that are read, each with the structs (as CO-RE names them) whose fields
                are read through it
    plain       the places that read through such an argument without CO-RE: its number, and the byte that is read
    """

    def __init__(self) -> None:
        self.places: set[Place] = set()
        self.arguments: dict[int, set[str]] = {}
        self.plain: dict[Place, tuple[int, int]] = {}

    def note_argument(self, number: int, *structs: str) -> None:
        """Notes that an argument is read, and through it a field of these structs."""
        self.arguments.setdefault(number, set()).update(structs)


class Environment(NamedTuple):
    """The constants of a kernel: `kconfig`, values of its options by name, and `ksyms`, its symbols' addresses.

    Such an address is 0 for what the kernel lacks, a pointer for what it has. What isn't known is in neither.
    """

    kconfig: Mapping[str, int]
    ksyms: Mapping[str, Known]


class Explorer:
    """The functions of one relocated object, whose programs are explored one by one."""

    def __init__(self, spec: ObjectSpec, functions: list[Relocated], references: References, environment: Environment):
        self._spec, self.functions, self._references, self.environment = spec, functions, references, environment
        self._frozen = {each.name: each.data for each in spec.data if each.kind == "rodata"}
        self._fields = [
            {row.at: row.resolution.local.root.name for row in each.applied if row.resolution.local}
            for each in functions
        ]

    def explore(self, program: int) -> Reached:
        """Returns what the program with that index gets to."""
        walk = _Walk(self)
        walk.function(program, (Pointer("ctx"), None, None, None, None), 0)
        return walk.reached

    def frozen(self, pointer: Pointer, size: int) -> Known:
        """Returns what lies in read-only data as the object has it, or an option of the kernel's."""
        if pointer.base == "kconfig":
            return self.environment.kconfig.get(pointer.name)
        data = self._frozen.get(pointer.name, b"")
        part = data[pointer.offset : pointer.offset + size] if pointer.offset >= 0 else b""
        order = "little" if self._spec.elf.little else "big"
        return int.from_bytes(part, order) if len(part) == size else None  # type: ignore[arg-type]

    def original(self, function: int, at: int) -> Insn:
        """Returns an instruction as the object has it."""
        code = self.functions[function].spec.instructions[at * INSN_SIZE : (at + 1) * INSN_SIZE]
        return instructions(code, self._spec.elf.little)[0]

    def reference(self, function: int, at: int) -> Reference | None:
        """Returns what an instruction refers to."""
        return self._references.of(self.functions[function], at)

    def address(self, reference: Reference | None, number: int) -> Known:
        """Returns what a 64-bit load gives: a number, or a pointer to what it refers to."""
        if reference is None:
            return number
        if not reference.section:
            is_option = any(each.name == reference.name for each in self._spec.kconfig)
            return Pointer("kconfig", 0, reference.name) if is_option else self.environment.ksyms.get(reference.name)
        if reference.section in self._frozen:
            return Pointer("data", reference.offset, reference.section)
        return SOMEWHERE

    def field_of(self, function: int, at: int) -> str:
        """Returns the struct whose field an instruction's CO-RE relocation names; empty for none."""
        return self._fields[function].get(at, "")


class _Walk:
    """One program's walk; a function is walked once for each set of arguments."""

    def __init__(self, explorer: Explorer):
        self.explorer, self.reached = explorer, Reached()
        self._results: dict[tuple[int, tuple[Known, ...]], Known] = {}

    def function(self, number: int, arguments: tuple[Known, ...], depth: int) -> Known:
        """Walks a function and returns what it returns, where that is always the same."""
        key = number, arguments
        if key not in self._results and depth < MAX_FRAMES:
            self._results[key] = None  # of one that calls itself
            returned = _Function(self, number, depth).walk(arguments)
            self._results[key] = returned.pop() if len(returned) == 1 else None
        return self._results.get(key)


class _Function:
    """The walk of one function with its arguments."""

    def __init__(self, walk: _Walk, number: int, depth: int):
        self._walk, self._number, self._depth = walk, number, depth
        self._explorer = walk.explorer
        self._code = self._explorer.functions[number].code
        self._seen: dict[int, list[State]] = defaultdict(list)
        self._todo: list[tuple[int, State]] = []
        self._returned: set[Known] = set()

    def walk(self, arguments: tuple[Known, ...]) -> set[Known]:
        """Returns what the function may return, once all of its paths are walked."""
        start = State()
        start.registers[1:6] = arguments
        self._todo.append((0, start))
        while self._todo:
            at, state = self._todo.pop()
            while at >= 0:
                if not self._is_new(at, state):
                    break
                at = self._step(at, state)
        return self._returned

    def _is_new(self, at: int, state: State) -> bool:
        """Returns True if what follows has to be walked with this state; joins it where many were there before."""
        if not 0 <= at < len(self._code):
            return False
        seen = self._seen[at]
        if not seen:
            self._walk.reached.places.add(Place(self._number, at))
        for other in seen:
            if other.covers(state):
                return False
        if len(seen) >= MAX_STATES:
            joined = state.joined(seen[-1])
            state.registers, state.stack = joined.registers, joined.stack
            seen.pop()
        seen.append(state.copy())
        return True

    def _step(self, at: int, state: State) -> int:
        """Carries out an instruction; returns the next one's index, -1 at the function's end."""
        insn = self._code[at]
        if insn == BAD_RELOCATION:
            return self._unknown(at, state)
        if insn.kind in (JMP, JMP32):
            return self._jump(at, insn, state)
        registers = state.registers
        if insn.code == LD_IMM64:
            reference = self._explorer.reference(self._number, at)
            if reference and reference.function >= 0:
                self._call_back(reference.function)
            number = imm64(self._code, at) if at + 1 < len(self._code) else 0
            registers[insn.dst % 11] = self._explorer.address(reference, number)
            return at + 2
        if insn.kind == LDX:
            registers[insn.dst % 11] = self._load(at, insn, state)
        elif insn.kind in (ST, STX):
            self._store(insn, state)
        elif insn.kind == 0:  # the old loads from packets
            registers[0] = None
        else:
            operand = registers[insn.src % 11] if insn.code & FROM_REGISTER else insn.imm & MASK64
            if insn.code == ADD_VALUE:
                self._note_field(at, registers[insn.dst % 11], insn.imm)
            registers[insn.dst % 11] = alu(insn, registers[insn.dst % 11], operand)
        return at + 1

    def _unknown(self, at: int, state: State) -> int:
        """Goes on behind an instruction that has nothing to be relocated to, as if it gave anything."""
        insn = self._explorer.original(self._number, at)
        state.registers[insn.dst % FRAME] = state.registers[insn.src % FRAME] = None
        return at + 1

    def _note_field(self, at: int, known: Known, offset: int) -> None:
        """Notes what is read through an argument: a struct's field, or a byte that no relocation is about."""
        if not isinstance(known, Argument):
            return
        struct = self._explorer.field_of(self._number, at)
        if struct:
            self._walk.reached.note_argument(known.number, struct)
        else:
            self._walk.reached.plain[Place(self._number, at)] = known.number, offset

    def _load(self, at: int, insn: Insn, state: State) -> Known:
        base, size = state.registers[insn.src % 11], BYTES[insn.code & 0x18]
        self._note_field(at, base, insn.off)
        if not isinstance(base, Pointer) or insn.code & MODE_MASK != MEM:
            return None
        offset = base.offset + insn.off
        if base.base == "stack":
            return state.load(offset, size)
        if base.base in ("data", "kconfig"):
            return self._explorer.frozen(base._replace(offset=offset), size)
        if base.base == "ctx" and size == 8 and offset % 8 == 0:
            self._walk.reached.note_argument(offset // 8)
            return Argument(offset // 8)
        return None

    def _store(self, insn: Insn, state: State) -> None:
        base, size = state.registers[insn.dst % 11], BYTES[insn.code & 0x18]
        if isinstance(base, Pointer) and base.base == "stack":
            known = insn.imm & MASK64 if insn.kind == ST else state.registers[insn.src % 11]
            if isinstance(known, int):
                known &= (1 << 8 * size) - 1
            whole = insn.code & MODE_MASK == MEM and (size == 8 or isinstance(known, int))
            state.store(base.offset + insn.off, size, known if whole else None)
        elif base is None:
            state.forget()
        if insn.kind == STX and insn.code & MODE_MASK != MEM:  # an atomic instruction, which may fetch
            state.registers[insn.src % FRAME] = state.registers[0] = None

    def _jump(self, at: int, insn: Insn, state: State) -> int:
        operation, registers = insn.code & 0xF0, state.registers
        if operation == EXIT:
            self._returned.add(registers[0])
            return -1
        if operation == CALL:
            self._call(at, insn, state)
            return at + 1
        if operation == JA:
            return at + 1 + (insn.imm if insn.kind == JMP32 else insn.off)
        target = at + 1 + insn.off
        if operation == JCOND:
            self._todo.append((target, state.copy()))
            return at + 1
        left = registers[insn.dst % 11]
        right = registers[insn.src % 11] if insn.code & FROM_REGISTER else insn.imm & MASK64
        taken = decide(operation, insn.kind == JMP, left, right)
        if taken is not None:
            return target if taken else at + 1
        other = state.copy()
        equal = other if operation == JEQ else state if operation == JNE else None
        if equal and isinstance(right, int) and insn.kind == JMP and left is None:
            equal.registers[insn.dst % 11] = right
        self._todo.append((target, other))
        return at + 1

    def _call(self, at: int, insn: Insn, state: State) -> None:
        reference = self._explorer.reference(self._number, at)
        result: Known = None
        if insn.src == PSEUDO_CALL and reference and reference.function >= 0:
            callee = self._explorer.functions[reference.function].spec
            given = tuple(_passed(known) for known in state.registers[1:6])
            arguments = given if callee.static else (None,) * 5
            result = self._walk.function(reference.function, arguments, self._depth + 1)
        state.call(is_helper=insn.src == 0)
        state.registers[0] = result

    def _call_back(self, function: int) -> None:
        """Walks a function whose address is given to a helper, which calls it."""
        self._walk.function(function, (None,) * 5, self._depth + 1)


def _passed(known: Known) -> Known:
    """Returns what a function knows of an argument: a caller's stack is none of its own."""
    return SOMEWHERE if isinstance(known, Pointer) and known.base == "stack" else known
