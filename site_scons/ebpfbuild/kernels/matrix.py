"""Checks a project's objects against its kernels, and says of each problem on which of the kernels it is there."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ..spec.object import ObjectSpec
from .check import ObjectCheck
from .kernel import Kernel
from .problem import Problem, ProgramResult, Verdict


class ObjectResults(NamedTuple):
    """An object's results: `name` is its path, `results` are by program, in each by kernel, in the kernels' order."""

    name: str
    arch: str
    results: dict[str, list[ProgramResult]]


class Finding(NamedTuple):
    """A problem of a program and the kernels on which it is there; `since` says so in words, by their releases.

    `there` are what they have instead, each with the kernels that have it.
    """

    object: str
    program: str
    problem: Problem
    kernels: tuple[str, ...]
    there: dict[str, list[str]]
    since: str


class Matrix(NamedTuple):
    """The kernels, oldest first within an arch, and the objects' results on those of their arch."""

    kernels: Sequence[Kernel]
    objects: Sequence[ObjectResults]

    def findings(self) -> list[Finding]:
        """Returns the problems, each once for a program, in the objects' order."""
        found = []
        for each in self.objects:
            kernels = kernels_of(self.kernels, each.arch)
            for program, results in each.results.items():
                found += _findings(each.name, program, results, kernels)
        return found

    def count(self, verdict: Verdict) -> int:
        """Counts the programs on kernels of which that is the verdict."""
        rows = [result for each in self.objects for results in each.results.values() for result in results]
        return sum(result.verdict == verdict for result in rows)


def shared_findings(matrix: Matrix) -> list[list[Finding]]:
    """Returns the problems, those together that are one for several programs of an object on the same kernels."""
    found: dict[tuple[object, ...], list[Finding]] = {}
    for each in matrix.findings():
        found.setdefault((each.object, each.problem, each.kernels), []).append(each)
    return list(found.values())


def kernels_of(kernels: Iterable[Kernel], arch: str) -> list[Kernel]:
    """Returns the kernels of an arch, the oldest first."""
    return sorted((each for each in kernels if each.arch == arch), key=lambda each: (each.version_code, each.name))


def check(objects: Iterable[tuple[str, str, ObjectSpec]], kernels: Sequence[Kernel]) -> Matrix:
    """Checks objects, each (name, arch, what it holds), against the kernels of their arch."""
    rows = []
    for name, arch, spec in objects:
        checked, results = ObjectCheck(spec), dict[str, list[ProgramResult]]()
        for kernel in kernels_of(kernels, arch):
            for result in checked.on(kernel):
                results.setdefault(result.program, []).append(result)
        rows.append(ObjectResults(name, arch, results))
    arches = dict.fromkeys(each.arch for each in kernels)
    return Matrix([kernel for arch in arches for kernel in kernels_of(kernels, arch)], rows)


def _findings(name: str, program: str, results: list[ProgramResult], kernels: list[Kernel]) -> list[Finding]:
    found: dict[tuple[str, str, str], dict[str, Problem]] = {}
    for result in results:
        for problem in result.problems:
            found.setdefault((problem.kind, problem.what, problem.line), {})[result.kernel] = problem
    return [_finding(name, program, by_kernel, kernels) for by_kernel in found.values()]


def _finding(name: str, program: str, by_kernel: dict[str, Problem], kernels: list[Kernel]) -> Finding:
    there: dict[str, list[str]] = {}
    for kernel, problem in by_kernel.items():
        there.setdefault(problem.there, []).append(kernel)
    newest = by_kernel[list(there.values())[-1][0]]  # the first kernel that has what the last one has
    return Finding(name, program, newest, tuple(by_kernel), there, _since(set(by_kernel), kernels))


def _since(failing: set[str], kernels: list[Kernel]) -> str:
    """Says in words from which of the declared releases on, or up to which, there is a problem."""
    if not all(kernel.release for kernel in kernels):
        return ""
    places = [number for number, kernel in enumerate(kernels) if kernel.name in failing]
    fine = [number for number in range(len(kernels)) if number not in places]
    if not fine:
        return ""
    if places[0] > fine[-1]:
        return f"since {kernels[places[0]].release}, and not yet in {kernels[fine[-1]].release}"
    if places[-1] < fine[0]:
        return f"up to {kernels[places[-1]].release}, and no more in {kernels[fine[0]].release}"
    others = ", ".join(kernels[number].release for number in fine)
    return f"but not on {others}"
