"""Writes a matrix as text: a table of programs and kernels, then each problem with what to write."""

from collections.abc import Iterator

from .kernel import Kernel
from .matrix import Finding, Matrix, ObjectResults, kernels_of, shared_findings
from .problem import Problem, Verdict


def table(matrix: Matrix) -> str:
    """Returns the tables, one for each arch, without colours."""
    arches = dict.fromkeys(each.arch for each in matrix.objects)
    return "\n\n".join("\n".join(_arch_table(matrix, arch)) for arch in arches)


def _arch_table(matrix: Matrix, arch: str) -> Iterator[str]:
    kernels = kernels_of(matrix.kernels, arch)
    objects = [each for each in matrix.objects if each.arch == arch]
    names = [arch, *(each.name for each in objects), *(f"  {name}" for each in objects for name in each.results)]
    first = max(map(len, names))
    widths = [max(len(kernel.name), len(kernel.release), *map(len, Verdict)) for kernel in kernels]
    yield _line(first, widths, arch, [kernel.name for kernel in kernels])
    yield _line(first, widths, "", [kernel.release or "?" for kernel in kernels])
    for each in objects:
        yield each.name
        yield from _rows(each, first, widths, kernels)


def _rows(each: ObjectResults, first: int, widths: list[int], kernels: list[Kernel]) -> Iterator[str]:
    if not each.results:
        yield "  no program"
    for program, results in each.results.items():
        yield _line(first, widths, f"  {program}", [str(result.verdict) for result in results])


def _line(first: int, widths: list[int], name: str, cells: list[str]) -> str:
    return "  ".join([name.ljust(first), *map(str.ljust, cells, widths)]).rstrip()


def problems(matrix: Matrix) -> str:
    """Returns each problem in a paragraph of its own: where, what, what is there instead, since when, what to write."""
    return "\n\n".join("\n".join(_paragraph(each)) for each in shared_findings(matrix))


def _paragraph(found: list[Finding]) -> Iterator[str]:
    first = found[0]
    problem, programs = first.problem, ", ".join(dict.fromkeys(each.program for each in found))
    yield f"{problem.line or first.object}: {problem.kind} {problem.what}"
    since = f" ({first.since})" if first.since else ""
    yield f"  {outcome(problem)} for {programs} on {', '.join(first.kernels)}{since}"
    for text, kernels in first.there.items():
        on = f" ({', '.join(kernels)})" if len(first.there) > 1 else ""
        yield f"  there{on}: {text}"
    for number, line in enumerate(problem.fix):
        yield f"  {'write:' if not number else '      '} {line}"


def outcome(problem: Problem) -> str:
    """Says what a problem means for a program, as a table's paragraph and a page's say it."""
    if problem.optional:
        return "isn't loaded unless asked, and would fail"
    return "can't be told" if problem.unsure else "fails"


def summary(matrix: Matrix) -> str:
    """Returns the last line: how many programs on how many kernels, and the verdicts' counts."""
    counts = [f"{matrix.count(verdict)} {verdict}" for verdict in Verdict if matrix.count(verdict)]
    programs, kernels = sum(len(each.results) for each in matrix.objects), len(matrix.kernels)
    return f"{many(programs, 'program')}, {many(kernels, 'kernel')}: {', '.join(counts) or 'nothing to check'}"


def many(number: int, thing: str) -> str:
    """Writes a number of things, as `1 kernel` or `4 kernels`."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"
