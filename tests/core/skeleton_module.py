"""Imports a generated skeleton, and finds what a variable of an object starts with."""

import types

from ebpfbuild.spec.object import ObjectSpec

TARGETS = {"bpfel": "x86_64", "bpfeb": "s390x"}


def module_of(text: str) -> types.ModuleType:
    """The skeleton, imported."""
    module = types.ModuleType("every_skel")
    exec(compile(text, "every_skel.py", "exec"), vars(module))
    return module


def initial(data: bytes, section: str, variable: str) -> bytes:
    """A variable's bytes as clang laid them out."""
    rows = next(row.variables for row in ObjectSpec.from_bytes(data).data if row.name == section)
    return next(row.data for row in rows if row.name == variable)
