"""Writes a matrix as plain values for JSON; docs/kernels.md lists the keys."""

from typing import Any

from .matrix import Finding, Matrix

FORMAT = 1


def as_json(matrix: Matrix) -> dict[str, Any]:
    """Returns kernels, verdicts and problems; lists are in the order of the table."""
    return {
        "format": FORMAT,
        "kernels": [{"name": each.name, "arch": each.arch, "release": each.release} for each in matrix.kernels],
        "objects": [
            {
                "object": each.name,
                "arch": each.arch,
                "programs": [
                    {
                        "program": program,
                        "kernels": {
                            row.kernel: {"verdict": row.verdict.name.lower(), "guards": list(row.guards)}
                            for row in results
                        },
                    }
                    for program, results in each.results.items()
                ],
            }
            for each in matrix.objects
        ],
        "problems": [_problem(each) for each in matrix.findings()],
    }


def _problem(each: Finding) -> dict[str, Any]:
    problem = each.problem
    return {
        "object": each.object,
        "program": each.program,
        "kernels": list(each.kernels),
        "kind": problem.kind,
        "what": problem.what,
        "line": problem.line or None,
        "there": each.there,
        "since": each.since or None,
        "fix": list(problem.fix),
        "unsure": problem.unsure,
        "optional": problem.optional,
    }
