"""Adds the file and number of the source lines in a verifier's log, which the object's own .BTF.ext tells.

Kernels print a line's text before the first instruction that comes of it: `; text` before 6.9, `; text @ file.c:line`
since, without the file's folder (verbose_linfo in kernel/bpf/log.c). Without the object's BTF they print none. The
places in the report of Linux 7.3, `function @ file.c:line:column`, lack the folder, too.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from ..btf.core_relo import SourceLine, source_lines
from ..kernel.instructions import INSN_SIZE
from ..spec.object import ObjectSpec
from ..spec.subprograms import with_subprograms

LOG_SOURCE = re.compile(r"; (?P<text>.*?)(?: @ [^@]+:\d+)?")
# An instruction, or what libbpf makes of one that it has poisoned: `0: <invalid CO-RE relocation>`.
LOG_INSTRUCTION = re.compile(r"(\d{1,10}): [(<]")
REPORT_PLACE = re.compile(r"(?P<before>  (?:\S+ @ )?)(?P<place>[^\s/][^/]*:\d+)(?P<column>:\d+\s*)")


class ProgramLines(NamedTuple):
    """A program's source lines, and the instructions at which they begin, as the kernel counts them; both in order."""

    starts: list[int]
    lines: list[SourceLine]

    def line_of(self, instruction: int) -> SourceLine | None:
        """Returns the line that an instruction comes of; None for one before the first."""
        index = bisect_right(self.starts, instruction)
        return self.lines[index - 1] if index else None


def with_places(log: Sequence[str], spec: ObjectSpec, program: str) -> tuple[str, ...]:
    """Returns a program's log whose source lines are `; text @ file:line`, as far as the object knows them.

    A line stays as it is if the object has another text there. Raises ObjectError.
    """
    known = _program_lines(spec, program)
    if not known.lines:
        return tuple(log)
    has_text = any(line.startswith("; ") for line in log)
    return tuple(_with_folders(_completed(log, known) if has_text else _inserted(log, known), known))


def _program_lines(spec: ObjectSpec, program: str) -> ProgramLines:
    """Returns the source lines of a program and of the functions that it calls; none if the object tells none."""
    extended, found = spec.elf.data(".BTF.ext"), ProgramLines([], [])
    wanted = next((each for each in spec.programs if each.name == program), None)
    if not (wanted and spec.btf and extended):
        return found
    lines, begin = sorted(source_lines(extended, spec.btf)), 0
    for function in with_subprograms(spec, wanted):
        for line in lines:
            at = line.offset - function.offset
            if line.section == function.section and 0 <= at < len(function.code):
                found.starts.append(begin + at // INSN_SIZE)
                found.lines.append(line)
        begin += function.instructions
    return found


def _completed(log: Sequence[str], known: ProgramLines) -> Iterator[str]:
    """Yields the log with the places of its source lines."""
    for index, line in enumerate(log):
        source = LOG_SOURCE.fullmatch(line)
        numbered = LOG_INSTRUCTION.match(log[index + 1]) if source and index + 1 < len(log) else None
        found = known.line_of(int(numbered[1])) if numbered else None
        same = found and source and found.text.strip() == source["text"].strip()
        yield _log_line(found) if found and same else line


def _inserted(log: Sequence[str], known: ProgramLines) -> Iterator[str]:
    """Yields the log with a source line before each instruction that comes of another one than the last."""
    last = None
    for line in log:
        numbered = LOG_INSTRUCTION.match(line)
        found = known.line_of(int(numbered[1])) if numbered else None
        if found and found != last:
            last = found
            yield _log_line(found)
        yield line


def _with_folders(log: Iterable[str], known: ProgramLines) -> Iterator[str]:
    """Yields the log with the folders of a report's places, unless two folders have such a file and line."""
    paths: dict[str, set[str]] = {}
    for path in map(_path, known.lines):
        paths.setdefault(path.rpartition("/")[2], set()).add(path)
    for line in log:
        reported = REPORT_PLACE.fullmatch(line)
        found = list(paths.get(reported["place"], ())) if reported else []
        yield f"{reported['before']}{found[0]}{reported['column']}" if reported and len(found) == 1 else line


def _path(line: SourceLine) -> str:
    """Returns a line's `file:line`, its file as the compiler was given it."""
    return line.line.removeprefix("./")


def _log_line(line: SourceLine) -> str:
    """Returns a source line as newer kernels print it."""
    return f"; {line.text.strip()} @ {_path(line)}"
