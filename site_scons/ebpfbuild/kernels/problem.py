"""Holds what is found out about a program on a kernel: a verdict, and the problems behind it."""

from enum import StrEnum
from typing import NamedTuple


class Verdict(StrEnum):
    """The outcome of a program on a kernel, as the table spells it; the worst one comes last."""

    OK = "ok"
    GUARDED = "ok (guards)"
    OPTIONAL = "optional"
    UNKNOWN = "unknown"
    FAILS = "fails"


class Problem(NamedTuple):
    """A reason for which a program doesn't load or attach on a kernel, or for which that can't be told.

    kind    `field`, `type`, `enum`, `relocation`, `function`, `tracepoint`, `argument`, `hook`, `kfunc`, `ksym`,
            `struct_ops`, `helper`, `map`, `program`, `instruction`
    what    what the program asks for, as `struct task_struct: state`; with `kind` it tells two problems apart
    there   what the kernel has instead
    fix     lines of what to write
    line    the source line, as `src/x.bpf.c:12`; empty where the object doesn't tell
    unsure  True where BTF can't tell, as of a function that only kprobes need
    optional  True where nothing fails until somebody asks for the program: its section begins with `?`
    """

    kind: str
    what: str
    there: str
    fix: tuple[str, ...] = ()
    line: str = ""
    unsure: bool = False
    optional: bool = False

    @property
    def fails(self) -> bool:
        """True where it is known to keep a program, that is loaded unasked, from loading or attaching."""
        return not self.unsure and not self.optional

    def unless_asked(self) -> "Problem":
        """Returns the problem as that of a program or map that isn't loaded unasked: there is no `?` to advise."""
        fix = () if self.fix[:1] and self.fix[0].startswith('SEC("?') else self.fix
        return self._replace(fix=fix, optional=True)


class ProgramResult(NamedTuple):
    """A program on a kernel. `guards` are the relocations that don't resolve and that no path of it leads to."""

    program: str
    kernel: str
    problems: tuple[Problem, ...]
    guards: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """The verdict that follows from the problems."""
        if any(each.fails for each in self.problems):
            return Verdict.FAILS
        if any(not each.optional for each in self.problems):
            return Verdict.UNKNOWN
        if self.problems:
            return Verdict.OPTIONAL
        return Verdict.GUARDED if self.guards else Verdict.OK
