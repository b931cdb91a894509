"""Names what a refused object uses that came with a later Linux than this one, and the source line that uses it.

A kernel's version proves no lack: distributions bring features to older kernels, and a program may use a feature only
where the kernel has it. So this stands beside the refusal's own reason, and replaces it only where the verifier's words
are those of a kernel that doesn't know an instruction.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ..btf.core_relo import SourceLine, source_lines
from ..kernel import host
from ..kernel.instructions import INSN_SIZE
from ..kernel.versions import section_kind, version_of
from ..spec.first_kernel import Need, code_needs, needs
from ..spec.map import MapSpec
from ..spec.object import ObjectSpec, ProgramSpec, object_spec
from ..spec.subprograms import with_subprograms

SHOWN_NEEDS = 3
# What kernel/bpf/verifier.c says, from 4.19 on, of an instruction that it doesn't know.
UNKNOWN_INSTRUCTION = re.compile(
    r"uses reserved fields|unknown (?:insn class|opcode)|invalid atomic opcode|back-edge from insn"
)


class NewerNeed(NamedTuple):
    """A need newer than the running kernel, and the `file:line` of its first use ("" if unknown)."""

    need: Need
    line: str

    def __str__(self) -> str:
        what, kernel = self.need.what, self.need.kernel
        verb = "calls it" if what.startswith(("the helper", "the kfunc")) else "makes one"
        user = f", as `{self.line}` {verb}," if self.line else f" ({self.need.user})" if self.need.user else ""
        return f"{what}{user} came with {kernel}"


def newer_needs(data: bytes, where: str, programs: Iterable[str], maps: Iterable[str]) -> list[NewerNeed]:
    """Returns what these programs, their functions and these maps use that came after this kernel, newest first.

    Without a name of either, all that loads counts. Raises ObjectError for bytes that are no object.
    """
    spec = object_spec(data, where)
    users = {*programs, *maps} or {each.name for each in _loaded_parts(spec)}
    users |= _reachable_functions(spec, users)
    lines = _first_lines(spec, users)
    found = {need.what: need for need in reversed(needs(spec)) if need.user in users and is_newer(need.kernel)}
    return [NewerNeed(need, lines.get(what, "")) for what, need in reversed(found.items())]


def is_newer(kernel: str) -> bool:
    """Returns True if a version is later than the running kernel's, as far as both can be read."""
    running = version_of(host.kernel_release())
    return running != (0, 0) and running < version_of(kernel)


def newer_note(newer: list[NewerNeed]) -> str:
    """Returns a sentence: what came with which kernel, and that this is an older one; empty for nothing."""
    if not newer:
        return ""
    more = f", and {len(newer) - SHOWN_NEEDS} more" if len(newer) > SHOWN_NEEDS else ""
    return f"{', '.join(map(str, newer[:SHOWN_NEEDS]))}{more}; this is Linux {host.kernel_release()}"


def section_note(section: str) -> str:
    """Returns the note on a program's section; empty where this kernel's version attaches it."""
    kind = section_kind(section)
    need = Need(kind.kernel, f'SEC("{kind.section}")', "") if kind else None
    return newer_note([NewerNeed(need, "")] if need and is_newer(need.kernel) else [])


def _loaded_parts(spec: ObjectSpec) -> list[ProgramSpec | MapSpec]:
    return [*(each for each in spec.programs if each.autoload), *spec.maps]


def _reachable_functions(spec: ObjectSpec, users: set[str]) -> set[str]:
    """Returns the functions that these programs call, and those that they call in turn."""
    programs = [each for each in spec.programs if each.name in users]
    return {function.name for program in programs for function in with_subprograms(spec, program)}


def _first_lines(spec: ObjectSpec, users: set[str]) -> dict[str, str]:
    """Maps what instructions need to the `file:line` of the first that does."""
    extended = spec.elf.data(".BTF.ext")
    lines = sorted(source_lines(extended, spec.btf)) if spec.btf and extended else []
    found: dict[str, str] = {}
    for program in (*spec.programs, *spec.functions):
        if program.name in users:
            own = [line for line in lines if line.section == program.section]
            for what, offset in _first_uses(spec, program):
                found.setdefault(what, _line_at(own, program.offset, offset))
    return found


class FirstUse(NamedTuple):
    """A feature, and the offset in the section of the first instruction that uses it."""

    what: str
    offset: int


def _first_uses(spec: ObjectSpec, program: ProgramSpec) -> Iterator[FirstUse]:
    """Yields the first use of each feature newer than this kernel."""
    seen: set[str] = set()
    for at, kernel, what in code_needs(spec, program):
        if what not in seen and is_newer(kernel):
            seen.add(what)
            yield FirstUse(what, program.offset + at * INSN_SIZE)


def _line_at(lines: list[SourceLine], begin: int, offset: int) -> str:
    """Returns the last line that begins in a function at an instruction or before it; `lines` are by offset."""
    found = ""
    for line in lines:
        if begin <= line.offset <= offset:
            found = line.line
    return found.removeprefix("./")
