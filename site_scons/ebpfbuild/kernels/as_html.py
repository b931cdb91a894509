"""Writes a matrix as one page of HTML, without a script and without anything from elsewhere."""

from pathlib import Path
from typing import Any

from ..escape import printable
from .kernel import Kernel
from .matrix import Finding, Matrix, ObjectResults, kernels_of, shared_findings
from .problem import ProgramResult, Verdict
from .text import many, outcome

TEMPLATE = Path(__file__).resolve().parent / "templates" / "kernels.html.j2"


def as_html(matrix: Matrix) -> str:
    """Returns the page: the verdict in a sentence, a table for each arch, and each problem with what to write."""
    import jinja2

    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, finalize=_printable)
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    found = shared_findings(matrix)
    places = {
        (each.object, each.program, kernel): number
        for number, group in reversed(list(enumerate(found, 1)))
        for each in group
        for kernel in each.kernels
    }
    arches = dict.fromkeys(each.arch for each in matrix.objects)
    return template.render(
        headline=headline(matrix),
        counts=[(each.name.lower(), str(each), matrix.count(each)) for each in Verdict if matrix.count(each)],
        tables=[_table(matrix, arch, places) for arch in arches],
        problems=[_problem(number, group) for number, group in enumerate(found, 1)],
    )


def _printable(value: Any) -> Any:
    """Returns a text without what no page shows; names come from objects and kernels."""
    return printable(value, kept="\n") if isinstance(value, str) else value


def headline(matrix: Matrix) -> str:
    """Says in a sentence how many programs work on all of their kernels."""
    programs = [results for each in matrix.objects for results in each.results.values()]
    failing = sum(any(row.verdict == Verdict.FAILS for row in results) for results in programs)
    kernels = many(len(matrix.kernels), "kernel")
    if failing:
        verb = "fails" if failing == 1 else "fail"
        return f"{failing} of {many(len(programs), 'program')} {verb} on some of {kernels}"
    return f"No program of {len(programs)} is known to fail on {kernels}"


def _table(matrix: Matrix, arch: str, places: dict[tuple[str, str, str], int]) -> dict[str, Any]:
    kernels: list[Kernel] = kernels_of(matrix.kernels, arch)
    objects = [_object(each, places) for each in matrix.objects if each.arch == arch]
    return {"arch": arch, "kernels": kernels, "objects": objects}


def _object(each: ObjectResults, places: dict[tuple[str, str, str], int]) -> dict[str, Any]:
    rows = [
        {"program": program, "cells": [_cell(row, places.get((each.name, program, row.kernel))) for row in results]}
        for program, results in each.results.items()
    ]
    return {"name": each.name, "rows": rows}


def _cell(row: ProgramResult, problem: int | None) -> dict[str, Any]:
    guards = f"not there, and not reached: {', '.join(row.guards)}" if row.guards else ""
    return {"name": row.verdict.name.lower(), "label": str(row.verdict), "problem": problem, "guards": guards}


def _problem(number: int, group: list[Finding]) -> dict[str, Any]:
    first, problem = group[0], group[0].problem
    return {
        "number": number,
        "kind": problem.kind,
        "what": problem.what,
        "line": problem.line or first.object,
        "outcome": outcome(problem).capitalize(),
        "color": "fails" if problem.fails else "optional" if problem.optional else "unknown",
        "programs": ", ".join(dict.fromkeys(each.program for each in group)),
        "kernels": first.kernels,
        "since": first.since,
        "there": [(text.split("`"), ", ".join(kernels)) for text, kernels in first.there.items()],
        "fix": "\n".join(problem.fix),
    }
