"""Writes a package's __init__.py, for one without an app's own: the names of its skeletons are the package's."""

from collections.abc import Sequence

from ..errors import PackageError
from .skeleton import PackedSkeleton

_INIT = '''"""{summary}: {what} for {arches}.

    from {package} import {programs}

    with {first}.open() as bpf:  # this machine's object, its digest checked
        bpf.load()
        bpf.attach()

Errors are `{package}.bpfloader.BpfError`s; `help({package}.bpfloader)` shows the whole of a session.
"""

from . import bpfloader
{imports}

__all__ = [
{names}
]
'''


def init(skeletons: Sequence[PackedSkeleton], package: str, summary: str) -> bytes:
    """Returns the bytes of it.

    Of several programs their own classes are the package's, and their types stay their modules': two may have a struct
    event each. Raises PackageError where two programs' classes have one name.
    """
    alone = len(skeletons) == 1
    names = {each.module_name: each.exported() if alone else _main_classes(each.program) for each in skeletons}
    everything = sorted(name for given in names.values() for name in given)
    if twice := next((one for one, other in zip(everything, everything[1:]) if one == other), None):
        what = f"two of its programs have a class {twice}"
        raise PackageError(what, where=package, fix="give one of them another name")
    programs = [each.program for each in skeletons]
    arches = sorted({arch for each in skeletons for arch in each.arches})
    text = _INIT.format(
        summary=summary.replace("\\", "\\\\").replace('"', '\\"'),
        what="a BPF program" if alone else "BPF programs",
        arches=", ".join(arches),
        package=package,
        programs=", ".join(programs),
        first=programs[0],
        imports="\n".join(_import(module, given) for module, given in sorted(names.items())),
        names="\n".join(f'    "{name}",' for name in sorted([*everything, "bpfloader"])),
    )
    return text.encode()


def _main_classes(program: str) -> list[str]:
    return [program, f"{program}Links", f"{program}Maps", f"{program}Progs"]


def _import(module: str, names: Sequence[str]) -> str:
    return "\n".join([f"from .{module} import (", *(f"    {name}," for name in names), ")"])
