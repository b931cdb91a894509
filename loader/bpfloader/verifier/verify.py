"""Loads each program of an object by itself and notes what it takes of the verifier, as the kernel's veristat does."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from ..arch import this_arch
from ..diagnose.source_places import with_places
from ..errors import BpfError, LibraryError, ObjectError, RefusedError
from ..files import read_file
from ..kernel.verifier_figures import BPF_LOG_LEVEL2, BPF_LOG_STATS, VerifierFigures, read_figures
from ..libbpf import program_log
from ..libbpf.library import library
from ..object.bpf_object import GIVE_PATH, Object
from ..package.archive import read_bundle
from ..spec.object import ObjectSpec, object_spec
from ..suggest import no_such
from .sizes import give_sizes, map_handles

SLACK = 16  # bytes: of a log that is longer the kernel fills the buffer, but for its NUL and the end of the last line


class SourceVisits(NamedTuple):
    """A line of source (`text`, at `place`, a file and a line) and how often the verifier came to it."""

    place: str
    text: str
    visits: int


class ProgramFigures(NamedTuple):
    """A program's figures. `object` is the file's name, or its path in a wheel; `type` as in enum bpf_prog_type.

    `verdict` is "loaded" or "refused", `reason` why it was refused. `figures` is None where the kernel refused before
    its verifier began. Sizes are in bytes, of the program as it was loaded: `xlated_size` of its instructions,
    `jited_size` of its machine code, `memlock` of all its memory in the kernel. `lines` are the most visited ones,
    where asked for; `lines_whole` is False where the log is longer than the kernel keeps, and only its end was counted.
    """

    object: str
    program: str
    section: str
    type: str
    verdict: str
    reason: str
    figures: VerifierFigures | None
    xlated_size: int = 0
    jited_size: int = 0
    memlock: int = 0
    lines: tuple[SourceVisits, ...] = ()
    lines_whole: bool = True


def verify(
    source: str | os.PathLike[str] | bytes, programs: Iterable[str] = (), *, lines: int = 0
) -> list[ProgramFigures]:
    """Verifies the programs of an object, a wheel or a tar, or of a module with skeletons, each by itself.

    Programs that are off at first are verified too. Nothing is attached, and no map is pinned. With `programs`, only
    those of these names. `lines` is how many of the most visited source lines to find, by a second load.

    Raises ObjectError for what can't be read, PrivilegeError, LibraryError; KeyError for a name that no object has.
    """
    return verify_objects(objects_of(source), programs, lines)


def verify_objects(objects: Mapping[str, bytes], programs: Iterable[str] = (), lines: int = 0) -> list[ProgramFigures]:
    """Verifies the programs of objects by name, as `verify` does. Raises what it does."""
    wanted = set(programs)
    specs = {where: object_spec(data, where) for where, data in objects.items()}
    names = {program.name for spec in specs.values() for program in spec.programs}
    if missing := wanted - names:
        raise no_such("program", min(missing), names)
    return [
        _verify_program(where, data, specs[where], program.name, lines)
        for where, data in objects.items()
        for program in specs[where].programs
        if not wanted or program.name in wanted
    ]


def verifier_log(data: bytes, where: str, program: str, level: int = BPF_LOG_LEVEL2) -> str:
    """Returns the verifier's log of a program; that of level 2 has all that it does. Raises PrivilegeError.

    The log of a program that is refused before the verifier begins is the reason of that.
    """
    with _opened(data, where, program) as bpf:
        try:
            bpf.load(log_level=level | BPF_LOG_STATS)
            return bpf.progs[program].verifier_log
        except (RefusedError, LibraryError) as error:
            return "\n".join(getattr(error, "log", ())) or str(error)


def objects_of(source: str | os.PathLike[str] | bytes) -> dict[str, bytes]:
    """Returns the objects of a file or a module that are for this machine, by name. Raises ObjectError, DigestError."""
    if not isinstance(source, bytes) and not os.path.exists(source):
        from .module import module_objects

        paths = module_objects(os.fspath(source))
        return {os.path.basename(path): read_file(path, GIVE_PATH) for path in paths}
    name = "the object given" if isinstance(source, bytes) else os.path.basename(os.fspath(source))
    data = source if isinstance(source, bytes) else read_file(source, GIVE_PATH)
    bundle = read_bundle(data, name)
    if bundle.kind == "object":
        return {name: data}
    arch = this_arch()
    mine = {path: each for path, each in bundle.objects.items() if arch in bundle.arches[path]}
    if not mine:
        arches = sorted({each for arches in bundle.arches.values() for each in arches})
        raise ObjectError(f"{name} has no object for this machine ({arch})", fix=f"it holds {', '.join(arches)}")
    return mine


def _verify_program(where: str, data: bytes, spec: ObjectSpec, name: str, lines: int) -> ProgramFigures:
    declared = next(each for each in spec.programs if each.name == name)
    found = ProgramFigures(where, name, declared.section.removeprefix("?"), declared.type, "loaded", "", None)
    with _opened(data, where, name) as bpf:
        try:
            bpf.load(log_level=BPF_LOG_STATS)
            program, info = bpf.progs[name], bpf.progs[name].info
            found = found._replace(
                figures=read_figures(program.verifier_log),
                type=info.type,
                xlated_size=info.xlated_size,
                jited_size=info.jited_size,
                memlock=info.memlock,
            )
        except (RefusedError, LibraryError) as error:  # a libbpf that is too old for the program
            log = "\n".join(getattr(error, "log", ()))
            found = found._replace(verdict="refused", reason=_reason(error, where, name), figures=read_figures(log))
    if lines and found.figures:
        log = verifier_log(data, where, name)
        whole = len(log.encode()) < program_log.LOG_SIZE - SLACK
        found = found._replace(lines=tuple(_most_visited(log, spec, name, lines)), lines_whole=whole)
    return found


def _opened(data: bytes, where: str, program: str) -> Object:
    """Opens an object so that it loads one program, pins nothing and makes its maps, even without a size."""
    named: type[Object] = type(where, (Object,), {})  # errors name an object without a file by its class
    bpf = named.open(data)
    try:
        bpf.select([program])
        _unpin(bpf)
        give_sizes(bpf)
    except BaseException:
        bpf.destroy()
        raise
    return bpf


def _unpin(bpf: Object) -> None:
    for bpf_map in map_handles(bpf):
        library().bpf_map__set_pin_path(bpf_map, None)


def _reason(error: BpfError, where: str, name: str) -> str:
    """Returns why a program was refused, without its object's name and its own."""
    return error.what.removeprefix(f"can't load {where}: ").replace(f"the program {name}", "it", 1)


def _most_visited(log: str, spec: ObjectSpec, program: str, count: int) -> Iterator[SourceVisits]:
    """Yields the source lines that a log of level 2 names most often."""
    visited = Counter(line for line in with_places(log.splitlines(), spec, program) if line.startswith("; "))
    for line, visits in visited.most_common(count):
        text, _, place = line[2:].rpartition(" @ ")
        yield SourceVisits(place if text else "", (text or place).strip(), visits)
