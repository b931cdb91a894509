"""Writes what booted kernels did as text: a table, the failures, and where they and the matrix disagree."""

from collections.abc import Iterator, Sequence

from ..kernels.problem import Verdict
from .results import FAILED, Disagreement, Guest, KernelRun, Offline, ProgramRun, State


def table(runs: Sequence[KernelRun], offline: Offline) -> str:
    """Returns a table for each arch: programs by kernels, how far each came, and the matrix' verdict behind it."""
    arches = dict.fromkeys(run.guest.arch for run in runs)
    return "\n\n".join(
        "\n".join(_arch_table([run for run in runs if run.guest.arch == arch], offline)) for arch in arches
    )


def _arch_table(runs: list[KernelRun], offline: Offline) -> Iterator[str]:
    rows = dict.fromkeys((each.object, each.program) for run in runs for each in run.programs)
    cells = [{(each.object, each.program): _cell(run.guest, each, offline) for each in run.programs} for run in runs]
    heads = [[run.guest.kernel, _release(run.guest)] for run in runs]
    widths = [max(map(len, [*head, *column.values()])) for head, column in zip(heads, cells)]
    first = max(
        len(name)
        for name in [runs[0].guest.arch, *(f"  {program}" for _, program in rows), *(name for name, _ in rows)]
    )
    yield _line(first, widths, runs[0].guest.arch, [head[0] for head in heads])
    yield _line(first, widths, "", [head[1] for head in heads])
    shown = ""
    for name, program in rows:
        if name != shown:
            yield name
            shown = name
        yield _line(first, widths, f"  {program}", [column.get((name, program), "") for column in cells])


def _release(guest: Guest) -> str:
    pages = f", {guest.page_size >> 10}K pages" if guest.page_size > 4096 else ""
    return f"{guest.seen or guest.release}{pages}{'' if guest.btf or not guest.seen else ', no BTF'}"


def _cell(guest: Guest, each: ProgramRun, offline: Offline) -> str:
    verdict = offline.get((guest.kernel, each.object, each.program))
    said = f"{each.state} {each.events}" if each.state is State.RAN else str(each.state)
    insns = f", {each.insns} insns" if each.insns else ""
    return f"{said}{insns}{f' [{verdict}]' if verdict else ''}"


def _line(first: int, widths: list[int], name: str, cells: list[str]) -> str:
    return "  ".join([name.ljust(first), *map(str.ljust, cells, widths)]).rstrip()


def failures(runs: Sequence[KernelRun]) -> str:
    """Returns a paragraph for each program that failed, with the loader's words, and for what else went wrong."""
    found = []
    for run in runs:
        guest = run.guest
        for each in run.programs:
            if each.state in FAILED and each.known:
                text = (each.load or each.attach).splitlines()
                found.append(
                    "\n".join([f"{each.program} on {guest.kernel}: {each.state}", *(f"  {line}" for line in text)])
                )
        lines = [f"  {error}" for error in guest.errors]
        lines += [f"  {guest.stopped}; its serial output: {guest.log}"] if guest.stopped else []
        if lines:
            found.append("\n".join([f"{guest.kernel}:", *lines]))
    return "\n\n".join(found)


def disagreeing(found: Sequence[Disagreement]) -> str:
    """Returns a line for each program of which boot and matrix say unlike things."""
    return "\n".join(
        f"{each.run.program} on {each.kernel}: the matrix says {each.offline}, the boot: {each.run.state}"
        for each in found
    )


def summary(runs: Sequence[KernelRun], offline: Offline, found: Sequence[Disagreement]) -> str:
    """Returns the last line: kernels, programs by how far they came, and how often the matrix says another thing."""
    states = [each.state for run in runs for each in run.programs]
    counts = [f"{states.count(state)} {state}" for state in State if state in states]
    seconds = sum(run.guest.seconds for run in runs)
    kernels = f"{len(runs)} kernel{'' if len(runs) == 1 else 's'}"
    judged = offline and any(state != State.UNKNOWN for state in states)
    differ = f"; the matrix disagrees on {len(found)}" if found else "; the matrix agrees" if judged else ""
    return f"{kernels} booted in {seconds:.0f} s: {', '.join(counts) or 'no program'}{differ}"


def verdict_name(verdict: Verdict | None) -> str | None:
    """Returns a verdict as JSON has it."""
    return verdict.name.lower() if verdict else None
