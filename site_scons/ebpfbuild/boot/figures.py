"""Tells what the verifiers of booted kernels counted, in the form of the loader's `verify --json`."""

import posixpath
from collections import Counter
from collections.abc import Iterable
from typing import Any

from .results import KernelRun

FORMAT = 1  # of loader/bpfloader/verifier/baseline.py


def measured(runs: Iterable[KernelRun]) -> list[dict[str, Any]]:
    """Returns the figures of each kernel that tells any (since 5.16), by its release; of programs that were loaded.

    Of two guests with one release and arch, such as one whose BTF is hidden, the one with BTF counts.
    """
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for run in sorted(runs, key=lambda run: run.guest.btf):
        names = _names(each.object for each in run.programs)
        rows = [
            {"object": names[each.object], "program": each.program, "verdict": "loaded", "insns": each.insns}
            for each in run.programs
            if each.insns
        ]
        if rows and run.guest.seen:
            key = run.guest.arch, run.guest.seen
            found[key] = {"format": FORMAT, "arch": key[0], "kernel": key[1], "programs": rows}
    return list(found.values())


def _names(objects: Iterable[str]) -> dict[str, str]:
    """Returns the objects' names as `verify` gives them: the file's alone, with the path where several have that."""
    paths = dict.fromkeys(objects)
    often = Counter(map(posixpath.basename, paths))
    names = {path: posixpath.basename(path) for path in paths}
    return {path: name if often[name] == 1 else f"{name} of {path}" for path, name in names.items()}
