"""Compares the header that an arch had with the one that it gets, and finds what of the difference programs use."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from ..compile.args import CompileArgs
from ..errors import CompileError
from ..minimize.header_changes import TypeChange, UsedChange, header_changes, used_changes
from ..minimize.index import Index
from ..minimize.program import used_names
from .report import ProgramChanges


class Program(NamedTuple):
    """A program that includes a vmlinux.h: its compile, and the files that the graph knows it to read."""

    name: str
    args: CompileArgs
    known: frozenset[str]


def compared(
    old: Index, new: Index, programs: Sequence[Program], root: str
) -> tuple[list[TypeChange], list[ProgramChanges]]:
    """Returns how two headers differ, and what of that each program uses.

    clang -E runs for each program, one a CPU. Raises CompileError, also where a header that the build generates isn't
    made yet.
    """
    changes = header_changes(old, new)

    def used(program: Program) -> list[UsedChange]:
        """Returns the changes of what one program names."""
        Path(root, program.args.output).parent.mkdir(parents=True, exist_ok=True)
        try:
            names = used_names(program.args, old, program.known, root)
        except CompileError as error:
            fix = error.fix or "build it once before: what the build generates isn't made for this"
            raise CompileError(error.what, where=error.where, fix=fix, details=error.details) from None
        return used_changes(changes, old, new, names)

    with ThreadPoolExecutor(os.cpu_count()) as threads:
        found = list(threads.map(used, programs))
    return changes, [ProgramChanges(each.name, each.args.arch.name, one) for each, one in zip(programs, found)]
