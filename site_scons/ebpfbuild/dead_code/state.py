"""Holds what is known at one instruction of a function: its registers, and what lies on its stack."""

from dataclasses import dataclass, field

from .values import Known, Pointer

STACK_SIZE = 512  # bytes of a frame; the kernel's MAX_BPF_STACK
FRAME = 10  # the register that points behind it
NOTHING: tuple[Known, ...] = (None,) * FRAME


@dataclass
class State:
    """The eleven registers, and the slots of the stack by (offset from the frame's end, size in bytes)."""

    registers: list[Known] = field(default_factory=lambda: [*NOTHING, Pointer("stack")])
    stack: dict[tuple[int, int], Known] = field(default_factory=dict)

    def copy(self) -> "State":
        """Returns a state that can be changed alone."""
        return State(list(self.registers), dict(self.stack))

    def covers(self, other: "State") -> bool:
        """Returns True if all that this state knows holds in the other one: what follows was looked at then."""
        for mine, theirs in zip(self.registers, other.registers):  # each instruction gets here: no generators
            if mine is not None and mine != theirs:
                return False
        return self.stack.items() <= other.stack.items()

    def joined(self, other: "State") -> "State":
        """Returns what is known in both."""
        registers = [mine if mine == theirs else None for mine, theirs in zip(self.registers, other.registers)]
        return State(registers, dict(self.stack.items() & other.stack.items()))

    def store(self, offset: int, size: int, known: Known) -> None:
        """Notes what is written to the stack, and forgets what lay there."""
        self.forget(offset, offset + size)
        if known is not None:
            self.stack[offset, size] = known

    def load(self, offset: int, size: int) -> Known:
        """Returns what the stack holds at a place, if it was written there as a whole."""
        return self.stack.get((offset, size))

    def forget(self, start: int = -STACK_SIZE, end: int = 0) -> None:
        """Forgets what lies on the stack from one offset to before another."""
        gone = [slot for slot in self.stack if slot[0] < end and slot[0] + slot[1] > start]
        for slot in gone:
            del self.stack[slot]

    def call(self, is_helper: bool) -> None:
        """Forgets the registers that a call may change, and the parts of the stack that it was given.

        A helper is given a buffer's size behind its address; whatever else is called may write anywhere.
        """
        for number, given in enumerate(self.registers[1:6], 1):
            if not isinstance(given, Pointer) or given.base != "stack":
                continue
            size = self.registers[number + 1] if number < 5 else None
            if is_helper and isinstance(size, int) and size:
                self.forget(given.offset, given.offset + size)
            else:
                self.forget(given.offset if is_helper else -STACK_SIZE)
        self.registers[:6] = NOTHING[:6]
