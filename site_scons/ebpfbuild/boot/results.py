"""Holds what programs did on booted kernels, and holds it against what the offline matrix says of them."""

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any, NamedTuple

from ..kernels.problem import Verdict
from .wire import number_of, text_of

NOTHING = "a guest has nothing to attach it to"  # guest/probe.py says so of what it has no target for


class State(StrEnum):
    """How far a program came on a kernel; the worst comes last."""

    RAN = "ran"
    ATTACHED = "attached"
    LOADED = "loaded"
    NOT_ATTACHED = "attach fails"
    NOT_LOADED = "load fails"
    UNKNOWN = "no result"


FAILED = (State.NOT_ATTACHED, State.NOT_LOADED, State.UNKNOWN)


class ProgramRun(NamedTuple):
    """A program on a booted kernel.

    load, attach   the loader's words for a refusal; empty where it went well
    events         how often the kernel ran it
    insns          how many instructions the verifier looked at, summed over its branches; 0 before Linux 5.16
    """

    object: str
    program: str
    section: str = ""
    load: str = ""
    attach: str = ""
    events: int = 0
    insns: int = 0
    known: bool = True

    @property
    def state(self) -> State:
        """How far it came."""
        if not self.known:
            return State.UNKNOWN
        if self.load:
            return State.NOT_LOADED
        if self.attach:
            return State.LOADED if self.attach.startswith(NOTHING) else State.NOT_ATTACHED
        return State.RAN if self.events else State.ATTACHED


class Guest(NamedTuple):
    """What a guest says of itself, and how its run ended.

    `stopped` says why it did not end by itself, `errors` what went wrong beside the programs; `log` is the file of its
    serial output.
    """

    kernel: str
    arch: str
    release: str
    seen: str
    page_size: int
    btf: bool
    seconds: float
    stopped: str
    errors: tuple[str, ...]
    log: str
    accelerator: str


class KernelRun(NamedTuple):
    """A kernel that was booted and the programs on it, in the objects' order."""

    guest: Guest
    programs: tuple[ProgramRun, ...]


Offline = Mapping[tuple[str, str, str], Verdict]  # by kernel, object and program; without those that can't be checked


Objects = Sequence[tuple[str, Sequence[str]]]  # each object's name and its programs
Report = dict[str, Any]  # of a guest, see wire.py


class Disagreement(NamedTuple):
    """A program of which the boot says another thing than the matrix."""

    kernel: str
    run: ProgramRun
    offline: Verdict


def programs_of(reports: Iterable[Report], objects: Objects) -> tuple[ProgramRun, ...]:
    """Returns what a guest reports of the objects' programs; those that it says nothing of are unknown."""
    found = {}
    for report in reports:
        number, program = number_of(report, "object"), text_of(report, "program", 200)
        if report.get("kind") != "program" or number is None or number >= len(objects):
            continue
        name = objects[number][0]
        section, load, attach = (text_of(report, key) for key in ("section", "load", "attach"))
        events, insns = (number_of(report, key) or 0 for key in ("events", "insns"))
        found[name, program] = ProgramRun(name, program, section, load, attach, events, insns)
    return tuple(
        found.get((name, program), ProgramRun(name, program, known=False))
        for name, programs in objects
        for program in programs
    )


def errors_of(reports: Iterable[Report], objects: Objects) -> tuple[str, ...]:
    """Returns what a guest reports as gone wrong with whole objects, modules and traffic."""
    found = []
    for report in reports:
        number = number_of(report, "object")
        if report.get("kind") == "object" and number is not None and number < len(objects):
            if error := text_of(report, "error"):
                found.append(f"{objects[number][0]}: {error.strip().splitlines()[-1]}")
            found += [f"traffic: {each}" for each in _texts(report.get("traffic"))]
        elif report.get("kind") == "guest":
            found += [f"module {each}" for each in _texts(report.get("modules"))]
    return tuple(dict.fromkeys(found))


def _texts(value: Any) -> list[str]:
    return [each[:400] for each in value[:50] if isinstance(each, str)] if isinstance(value, list) else []


def disagreements(runs: Iterable[KernelRun], offline: Offline) -> list[Disagreement]:
    """Returns the programs that fail where the matrix says ok, and those that load and attach where it says fails."""
    found = []
    for kernel, runs_there in ((run.guest.kernel, run.programs) for run in runs):
        for each in runs_there:
            verdict = offline.get((kernel, each.object, each.program))
            refused = each.state in (State.NOT_LOADED, State.NOT_ATTACHED)
            wrong = refused if verdict in (Verdict.OK, Verdict.GUARDED) else each.state in (State.RAN, State.ATTACHED)
            if wrong and verdict in (Verdict.OK, Verdict.GUARDED, Verdict.FAILS):
                found.append(Disagreement(kernel, each, verdict))
    return found


def unexpected(runs: Iterable[KernelRun], offline: Offline) -> list[tuple[Guest, ProgramRun]]:
    """Returns the programs that failed and of which the matrix doesn't say so, with their guests.

    Those that a guest didn't come to before it was stopped aren't among them.
    """
    return [
        (run.guest, each)
        for run in runs
        for each in run.programs
        if each.state in FAILED
        and offline.get((run.guest.kernel, each.object, each.program)) != Verdict.FAILS
        and not (run.guest.stopped and each.state == State.UNKNOWN)
    ]
