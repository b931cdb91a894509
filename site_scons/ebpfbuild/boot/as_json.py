"""Writes what booted kernels did as plain values for JSON; docs/kernels.md lists the keys."""

from collections.abc import Sequence
from typing import Any

from .results import Disagreement, KernelRun, Offline
from .text import verdict_name

FORMAT = 1


def as_json(runs: Sequence[KernelRun], offline: Offline, found: Sequence[Disagreement]) -> dict[str, Any]:
    """Returns the kernels with their programs, in the table's order."""
    differ = {(each.kernel, each.run.object, each.run.program) for each in found}
    return {"format": FORMAT, "kernels": [_kernel(run, offline, differ) for run in runs]}


def _kernel(run: KernelRun, offline: Offline, differ: set[tuple[str, str, str]]) -> dict[str, Any]:
    guest = run.guest
    rows = []
    for each in run.programs:
        key = (guest.kernel, each.object, each.program)
        row: dict[str, Any] = {"object": each.object, "program": each.program, "section": each.section or None}
        row |= {"state": each.state.name.lower(), "load": each.load or None, "attach": each.attach or None}
        row |= {"events": each.events, "insns": each.insns or None}
        row |= {"matrix": verdict_name(offline.get(key)), "agrees": key not in differ}
        rows.append(row)
    return {
        "name": guest.kernel,
        "arch": guest.arch,
        "release": guest.seen or guest.release,
        "page_size": guest.page_size,
        "btf": guest.btf,
        "accelerator": guest.accelerator,
        "seconds": round(guest.seconds, 1),
        "stopped": guest.stopped or None,
        "errors": list(guest.errors),
        "serial": guest.log,
        "programs": rows,
    }
