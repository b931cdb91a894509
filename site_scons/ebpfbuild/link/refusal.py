"""Explains a refusal of libbpf's linker in one line that names the sources.

Source of the texts: libbpf's src/linker.c (1.5). What isn't known here is passed on in libbpf's own words.
"""

import re
import signal
from collections.abc import Collection, Mapping
from typing import NamedTuple

from ..elf.reader import SHN_UNDEF, STB_GLOBAL, STB_LOCAL, Elf
from ..errors import LinkError
from . import child
from .part import Part, sources

LIBBPF_PREFIX = "libbpf: "
LOOK_AT_SHARED = "look at what they share: declarations, sections, maps"
DECLARE_IN_HEADER = "put the declaration into a header that they include"
_CONFLICT = re.compile(r"conflicting non-weak symbol #\d+ \((?P<name>.+)\) definition in '.*'")
_MISMATCH = re.compile(r"global '(?P<name>.+?)(?:\.inner)?': (?P<what>.+)")
_NO_BTF = re.compile(
    r"(?:failed to find BTF info for global/extern symbol|BTF info is missing for global symbol) '(?P<name>.+)'"
)
_CONTENTS = re.compile(r"non-identical contents of section '(?P<name>.+)' are not supported")
_SECTION = re.compile(r"sec (?P<name>.+) (?P<what>types|flags|entsize) mismatch")
_ORDER = re.compile(r"byte order mismatch with ELF file .*")


class Explanation(NamedTuple):
    """A fault in this project's words, and the next step."""

    what: str
    fix: str


def refusal(lines: list[str], status: int, parts: Mapping[str, Part], where: str) -> LinkError:
    """Returns the error for a child that ended with `status` and these lines on stderr.

    `parts` are the linked objects by the names of the files that the child was handed.
    """
    if status == child.UNLOADED:
        fix = "give [linker] libraries that this machine can load"
        return LinkError("libbpf's linker can't be loaded here", where=where, fix=fix, details=tuple(lines))
    if status != child.REFUSED:
        how = signal.strsignal(-status) if status < 0 else f"status {status}"
        what = f"libbpf's linker ended by itself ({how})"
        return LinkError(what, where=where, fix="report it with the objects", details=_other_lines(lines, "", parts))
    said = [line.removeprefix(LIBBPF_PREFIX) for line in lines if line.startswith(LIBBPF_PREFIX)]
    for line in said:
        if found := _explain(line, parts.values()):
            return LinkError(found.what, where=where, fix=found.fix, details=_other_lines(said, line, parts))
    last = lines[-1].removeprefix("REFUSED ") if lines else "it gives no reason"
    first = _with_sources(said[0] if said else last, parts)
    return LinkError(
        f"libbpf's linker refuses the sources: {first}",
        where=where,
        fix=LOOK_AT_SHARED,
        details=_other_lines(said[1:], "", parts),
    )


def _explain(line: str, parts: Collection[Part]) -> Explanation | None:
    """Returns a line of libbpf's in this project's words, or None for one that says nothing by itself."""
    if match := _CONFLICT.fullmatch(line):
        name, sources = match["name"], _sources_defining(match["name"], parts)
        return Explanation(
            f"{name} is defined by {sources}", "keep one, or make it static in each, or __weak in all but one"
        )
    if match := _MISMATCH.fullmatch(line):
        name = match["name"]
        return Explanation(
            f"{name} is declared differently by {_sources_with_symbol(name, parts)}: {match['what']}", DECLARE_IN_HEADER
        )
    if match := _NO_BTF.fullmatch(line):
        name = match["name"]
        what = f"{name} of {_sources_with_symbol(name, parts)} has no type information"
        return Explanation(what, "declare it in C, and not in assembly alone")
    if match := _CONTENTS.fullmatch(line):
        name = match["name"]
        return Explanation(
            f"section {name} has other contents in {_sources_with_section(name, parts)}",
            "write the same in each of them",
        )
    if match := _SECTION.fullmatch(line):
        name = match["name"]
        what = f"section {name} is of another kind in {_sources_with_section(name, parts)} ({match['what']} mismatch)"
        return Explanation(what, "give what lies in it sections of different names")
    if _ORDER.fullmatch(line):
        return Explanation("the objects have different byte orders", "link objects of one arch")
    return None


def _sources_defining(name: str, parts: Collection[Part]) -> str:
    """Returns the sources that define a symbol and are not weak about it."""

    def defines(elf: Elf) -> bool:
        return any(row.name == name and row.section != SHN_UNDEF and row.bind == STB_GLOBAL for row in elf.symbols)

    return sources(parts, defines)


def _sources_with_symbol(name: str, parts: Collection[Part]) -> str:
    """Returns the sources that define or use a global symbol."""
    return sources(parts, lambda elf: any(row.name == name and row.bind != STB_LOCAL for row in elf.symbols))


def _sources_with_section(name: str, parts: Collection[Part]) -> str:
    return sources(parts, lambda elf: elf.section(name) is not None)


def _other_lines(said: list[str], used: str, parts: Mapping[str, Part]) -> tuple[str, ...]:
    """Returns libbpf's own lines, the one that is told already left out."""
    return tuple(_with_sources(line, parts) for line in said if line != used)


def _with_sources(line: str, parts: Mapping[str, Part]) -> str:
    """Returns a line with the sources in the place of the files that the linker was handed."""
    return re.sub(r"(?<![\w.])\d+\.o\b", lambda match: parts[match[0]].source if match[0] in parts else match[0], line)
