"""Adds the file and number of the source lines in a verifier's log, which the object's own .BTF.ext tells.

Kernels print a line's text before the first instruction that comes of it: `; text` before 6.9, `; text @ file.c:line`
since, without the file's folder (verbose_linfo in kernel/bpf/log.c). Without the object's BTF they print none.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence

from ..btf.core_relo import SourceLine, source_lines
from ..kernel.instructions import INSN_SIZE
from ..spec.object import ObjectSpec
from ..spec.subprograms import with_subprograms

TOLD = re.compile(r"; (?P<text>.*?)(?: @ [^@]+:\d+)?")
# An instruction, or what libbpf makes of one that it has poisoned: `0: <invalid CO-RE relocation>`.
NUMBERED = re.compile(r"(\d{1,10}): [(<]")


def with_places(log: Sequence[str], spec: ObjectSpec, program: str) -> tuple[str, ...]:
    """Returns a program's log whose source lines are `; text @ file:line`, as far as the object knows them.

    A line stays as it is if the object has another text there. Raises ObjectError.
    """
    starts, lines = _lines_of(spec, program)
    if not lines:
        return tuple(log)
    has_text = any(line.startswith("; ") for line in log)
    return tuple(_placed(log, starts, lines) if has_text else _added(log, starts, lines))


def _lines_of(spec: ObjectSpec, program: str) -> tuple[list[int], list[SourceLine]]:
    """Returns the instructions at which source lines begin, and these lines, as the kernel counts instructions."""
    extended, starts, found = spec.elf.data(".BTF.ext"), [], []
    wanted = next((each for each in spec.programs if each.name == program), None)
    if not (wanted and spec.btf and extended):
        return [], []
    lines, begin = sorted(source_lines(extended, spec.btf)), 0
    for function in with_subprograms(spec, wanted):
        for line in lines:
            at = line.offset - function.offset
            if line.section == function.section and 0 <= at < len(function.code):
                starts.append(begin + at // INSN_SIZE)
                found.append(line)
        begin += function.instructions
    return starts, found


def _line_at(starts: list[int], lines: list[SourceLine], instruction: int) -> SourceLine | None:
    index = bisect_right(starts, instruction)
    return lines[index - 1] if index else None


def _placed(log: Sequence[str], starts: list[int], lines: list[SourceLine]) -> Iterator[str]:
    """Yields the log with the places of its source lines."""
    for index, line in enumerate(log):
        told = TOLD.fullmatch(line)
        numbered = NUMBERED.match(log[index + 1]) if told and index + 1 < len(log) else None
        known = _line_at(starts, lines, int(numbered[1])) if numbered else None
        same = known and told and known.text.strip() == told["text"].strip()
        yield _as_told(known) if known and same else line


def _added(log: Sequence[str], starts: list[int], lines: list[SourceLine]) -> Iterator[str]:
    """Yields the log with a source line before each instruction that comes of another one than the last."""
    last = None
    for line in log:
        numbered = NUMBERED.match(line)
        known = _line_at(starts, lines, int(numbered[1])) if numbered else None
        if known and known != last:
            last = known
            yield _as_told(known)
        yield line


def _as_told(line: SourceLine) -> str:
    return f"; {line.text.strip()} @ {line.line.removeprefix('./')}"
