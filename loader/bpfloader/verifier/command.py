"""`python -m bpfloader verify`: the verifier's figures of files and modules, held against a baseline."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from ..features.text import as_json
from ..files import read_file, write_whole
from ..object.bpf_object import GIVE_PATH
from .baseline import (
    Baseline,
    Change,
    Measured,
    as_dict,
    baseline_text,
    changes,
    dearer,
    limit_percent,
    measured_here,
    read_baseline,
    read_measured,
)
from .text import changes_text, figures_text
from .verify import ProgramFigures, objects_of, verifier_log, verify_objects

LINES_OF_DEARER = 5


class Request(NamedTuple):
    """What the command line asks: files or modules, names of programs, how many source lines, the whole log or not.

    `compare` and `record` are the paths of baselines to read and to write, or empty; `limit` says how much dearer a
    program may be, as text. `measured` are files that `--json` printed, maybe elsewhere: nothing is verified then.
    """

    files: Sequence[str]
    programs: Sequence[str]
    lines: int
    log: bool
    compare: str
    record: str
    limit: str
    json: bool
    measured: Sequence[str] = ()


class Answer(NamedTuple):
    """What the command prints; its exit status: 2 if a program got dearer, 1 if one is refused, else 0."""

    text: str
    status: int


def answer(request: Request) -> Answer:
    """Verifies what is asked. Raises what `verify` does, ValueError for a limit that is none."""
    limit, base = limit_percent(request.limit), None
    if request.compare:
        base = read_baseline(read_file(request.compare, GIVE_PATH), request.compare)
    if request.measured:
        return _measured_elsewhere(request, base, limit)
    if not request.files:
        raise ValueError("verify: name a file, or a module of skeletons")
    objects = _objects(request.files)
    found = verify_objects(objects, request.programs, request.lines)
    here = measured_here(found)
    compared = changes(base, here, limit, whole=not request.programs) if base else []
    worse = dearer(compared)
    if request.record:
        _record(request.record, [here])
    status = 2 if worse else int(not base and any(each.verdict == "refused" for each in found))
    if request.json:
        told = as_dict(found)
        if base:
            told["dearer"] = [{"object": each.object, "program": each.program, "what": each.dearer} for each in worse]
        return Answer(as_json(told), status)
    if not request.lines:
        found = _with_lines(objects, found, worse)
    parts = list(_logs(objects, found)) if request.log else []
    parts.append(figures_text(found))
    if base:
        parts.append(changes_text(base, here, compared, limit))
    return Answer("\n\n".join(parts), status)


def _measured_elsewhere(request: Request, base: Baseline | None, limit: float) -> Answer:
    """Records figures that `--json` printed, and holds them against a baseline, a kernel at a time."""
    if any((request.files, request.programs, request.lines, request.log, request.json)):
        raise ValueError("--measured: goes with --compare, --record and --limit alone")
    found = [read_measured(read_file(path, GIVE_PATH), path) for path in request.measured]
    parts, worse = [], 0
    for each in found if base else ():
        compared = changes(base, each, limit, whole=False) if base else []
        worse += len(dearer(compared))
        parts.append(changes_text(base, each, compared, limit) if base else "")
    if request.record:
        parts.append(f"{request.record}: {_record(request.record, found)} lines")
    return Answer("\n\n".join(parts), 2 if worse else 0)


def _record(path: str, found: Sequence[Measured]) -> int:
    """Writes a baseline: the kernels found, and the others that it has already. Returns how many lines it has."""
    base = read_baseline(read_file(path, GIVE_PATH), path, may_be_empty=True) if os.path.lexists(path) else None
    text = baseline_text(base, found)
    write_whole(path, text)
    return sum(not line.startswith("#") for line in text.splitlines())


def _objects(files: Iterable[str]) -> dict[str, bytes]:
    """Returns the objects of all files by name; those whose name several have by that and their file's path."""
    found = [(file, name, data) for file in dict.fromkeys(files) for name, data in objects_of(file).items()]
    often = Counter(name for _, name, _ in found)
    return {name if often[name] == 1 else f"{name} of {file}": data for file, name, data in found}


def _with_lines(
    objects: Mapping[str, bytes], found: Iterable[ProgramFigures], worse: Iterable[Change]
) -> list[ProgramFigures]:
    """Returns the figures, those of the programs that got dearer with their most visited source lines."""
    wanted = {(each.object, each.program) for each in worse}
    return [
        verify_objects({each.object: objects[each.object]}, [each.program], LINES_OF_DEARER)[0]
        if (each.object, each.program) in wanted
        else each
        for each in found
    ]


def _logs(objects: Mapping[str, bytes], found: Iterable[ProgramFigures]) -> Iterator[str]:
    """Yields the whole log of each program, under its name."""
    for each in found:
        log = verifier_log(objects[each.object], each.object, each.program)
        yield f"{each.object}: the verifier's log of {each.program}\n{log.rstrip()}"
