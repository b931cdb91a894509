"""Names what a refused object uses that came with a later Linux than the one that refused it, and where in its source.

A kernel's version proves no lack: distributions bring features to older kernels, and what a program asks for only where
the kernel has it is never run elsewhere. So this is said beside the refusal's own reason, and in its place only where
the verifier's words are those of a kernel that doesn't know an instruction.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ..btf.core_relo import source_lines
from ..kernel import host
from ..kernel.versions import section_kind, version_of
from ..spec.first_kernel import FUNCTION_CALL, Need, code_needs, needs
from ..spec.map import MapSpec
from ..spec.object import INSTRUCTION, ObjectSpec, ProgramSpec, object_spec

SHOWN = 3
# What kernel/bpf/verifier.c says, from 4.19 on, of an instruction that it doesn't know.
UNKNOWN = re.compile(r"uses reserved fields|unknown (?:insn class|opcode)|invalid atomic opcode|back-edge from insn")


class Newer(NamedTuple):
    """A need that the running kernel's version is before, and the `file:line` that has it first ("" if not told)."""

    need: Need
    place: str

    def __str__(self) -> str:
        what, kernel = self.need.what, self.need.kernel
        verb = "calls it" if what.startswith(("the helper", "the kfunc")) else "makes one"
        user = f", as `{self.place}` {verb}," if self.place else f" ({self.need.user})" if self.need.user else ""
        return f"{what}{user} came with {kernel}"


def newer(data: bytes, where: str, programs: Iterable[str], maps: Iterable[str]) -> list[Newer]:
    """What these programs, the functions that they call, and these maps use that came after this kernel, newest first.

    Without a name of either, all that loads counts. Raises ObjectError for bytes that are no object.
    """
    spec = object_spec(data, where)
    users = {*programs, *maps} or {each.name for each in _loading(spec)}
    users |= _called(spec, users)
    places = _places(spec, users)
    found = {need.what: need for need in reversed(needs(spec)) if need.user in users and is_newer(need.kernel)}
    return [Newer(need, places.get(what, "")) for what, need in reversed(found.items())]


def is_newer(kernel: str) -> bool:
    """Whether a version is later than the running kernel's, as far as both can be read."""
    running = version_of(host.kernel_release())
    return running != (0, 0) and running < version_of(kernel)


def note(found: list[Newer]) -> str:
    """What came with which kernel, and that this is an older one, in one sentence; empty for nothing."""
    if not found:
        return ""
    more = f", and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    return f"{', '.join(map(str, found[:SHOWN]))}{more}; this is Linux {host.kernel_release()}"


def newer_section(section: str) -> str:
    """`note` for a way to attach, by a program's section; empty where this kernel's version has it."""
    kind = section_kind(section)
    need = Need(kind.kernel, f'SEC("{kind.section}")', "") if kind else None
    return note([Newer(need, "")] if need and is_newer(need.kernel) else [])


def _loading(spec: ObjectSpec) -> list[ProgramSpec | MapSpec]:
    return [*(each for each in spec.programs if each.autoload), *spec.maps]


def _called(spec: ObjectSpec, users: set[str]) -> set[str]:
    """The functions that these programs call, and those that they call in turn."""
    known = {each.name: each for each in (*spec.programs, *spec.functions)}
    reached: set[str] = set()
    waiting = [known[name] for name in users if name in known]
    while waiting:
        for name in _callees(spec, waiting.pop()):
            if name not in reached:
                reached.add(name)
                waiting.append(known[name])
    return reached


def _callees(spec: ObjectSpec, program: ProgramSpec) -> set[str]:
    """The functions of `.text` that a program's calls or pointers lead to: by their symbol, or by their place in it."""
    names = {name for _, name in spec.calls(program)}
    named = {each.name for each in spec.functions if each.name in names}
    if ".text" in names or (program.section == ".text" and FUNCTION_CALL in _kinds(spec, program)):
        named |= {each.name for each in spec.functions}  # static ones: the symbol is the section's
    return named


def _kinds(spec: ObjectSpec, program: ProgramSpec) -> set[str]:
    return {what for _, _, what in code_needs(spec, program)}


def _places(spec: ObjectSpec, users: set[str]) -> dict[str, str]:
    """What instructions need -> the `file:line` of the first of them."""
    extended = spec.elf.data(".BTF.ext")
    lines = sorted(source_lines(extended, spec.btf)) if spec.btf and extended else []
    found: dict[str, str] = {}
    for program in (*spec.programs, *spec.functions):
        if program.name in users:
            own = [(offset, place) for section, offset, place in lines if section == program.section]
            for what, offset in _first_uses(spec, program):
                found.setdefault(what, _line_at(own, program.offset, offset))
    return found


def _first_uses(spec: ObjectSpec, program: ProgramSpec) -> Iterator[tuple[str, int]]:
    """(what is needed, the offset in the section of the first instruction that needs it)."""
    seen: set[str] = set()
    for at, kernel, what in code_needs(spec, program):
        if what not in seen and is_newer(kernel):
            seen.add(what)
            yield what, program.offset + at * INSTRUCTION


def _line_at(lines: list[tuple[int, str]], begin: int, offset: int) -> str:
    """The last line of a function that begins at an instruction or before it; `lines` by offset."""
    place = ""
    for start, each in lines:
        if begin <= start <= offset:
            place = each
    return place.removeprefix("./")
