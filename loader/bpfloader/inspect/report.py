"""Reports in plain values what a BPF object, a wheel or a tar of objects holds and needs (`inspect --json`)."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from ..btf.c_text import definition
from ..errors import LibraryError
from ..files import read_file
from ..package.archive import Bundle, read_bundle
from ..sha256 import sha256
from ..spec.first_kernel import asks_kernel, first_kernel, minimum, needs
from ..spec.map import MapSpec
from ..spec.object import ObjectSpec, ProgramSpec, VariableSpec, object_spec


def inspect(path: str | os.PathLike[str], types: Iterable[str] = (), ask_kernel: bool = False) -> dict[str, Any]:
    """Reads a file into the keys that docs/probe.md lists; with `types`, the C text of those types as well.

    With `ask_kernel`, each object for this machine's byte order is checked against this kernel: the programs that
    attach, the maps that it makes; nothing else touches the kernel. Raises ObjectError for what is no such file,
    DigestError for an altered one.
    """
    data = read_file(path, "give the path of a file that this user may read")
    name = os.path.basename(os.fspath(path))
    found = read_bundle(data, name)
    return {
        "format": 1,
        "file": name,
        "kind": found.kind,
        "sha256": sha256(data),
        "package": _package_dict(found),
        "recorded": found.recorded,
        "objects": [
            {
                "path": place,
                "arches": list(found.arches[place]),
                **inspect_object(each, place or name, types, ask_kernel),
            }
            for place, each in found.objects.items()
        ],
    }


def _package_dict(found: Bundle) -> dict[str, Any] | None:
    if found.manifest is None:
        return None
    programs = {
        file: {arch: packed.facts for arch, packed in arches.items()}
        for file, arches in found.manifest.programs.items()
    }
    return {"name": found.manifest.name, "version": found.manifest.version, "programs": programs}


def inspect_object(data: bytes, where: str, types: Iterable[str] = (), ask_kernel: bool = False) -> dict[str, Any]:
    """Reads one object's part of `inspect`. Raises ObjectError."""
    spec = object_spec(data, where)
    wanted = needs(spec)
    return {
        "sha256": spec.sha256,
        "size": len(data),
        "byte_order": "little" if spec.elf.little else "big",
        "license": spec.license,
        "kernel": first_kernel(spec, wanted),
        "asks_kernel": asks_kernel(spec),
        "needs": [{"kernel": need.kernel, "what": need.what, "for": need.user} for need in wanted],
        "programs": [{**_program_dict(each), "kernel": minimum(wanted, each.name)} for each in spec.programs],
        "functions": [{"name": each.name, "instructions": each.instructions} for each in spec.functions],
        "maps": [_map_dict(each) for each in spec.maps],
        "variables": [_variable_dict(each) for each in spec.variables],
        "externs": [_variable_dict(each) for each in spec.externs],
        "struct_ops": [_variable_dict(each) for each in spec.struct_ops],
        "core": [each._asdict() for each in spec.core],
        "types": {"count": max(0, len(spec.btf) - 1) if spec.btf else 0, "named": _type_texts(spec, types)},
        "this_kernel": this_kernel(spec) if ask_kernel else None,
    }


def _program_dict(each: ProgramSpec) -> dict[str, Any]:
    return {
        "name": each.name, "section": each.section, "type": each.type, "target": each.target,
        "instructions": each.instructions, "sleepable": each.sleepable, "autoload": each.autoload,
    }  # fmt: skip


def _map_dict(each: MapSpec) -> dict[str, Any]:
    inner = _map_dict(each.inner) if each.inner else None
    return {**each._asdict(), "flags": list(each.flags), "inner": inner}


def _variable_dict(each: VariableSpec) -> dict[str, Any]:
    return each._asdict()


def _type_texts(spec: ObjectSpec, names: Iterable[str]) -> dict[str, list[str]]:
    """Returns the C text of all types of these names; none for a name that isn't there."""
    btf = spec.btf
    return {name: [definition(btf, kind.id) for kind in btf.named(name)] if btf else [] for name in names}


def this_kernel(spec: ObjectSpec) -> dict[str, Any]:
    """Asks this kernel about an object: `ok`, and the refused `programs` and `maps` with the reasons.

    `ok` is None where it can't be told; programs that are off at first count like the others.
    """
    import sys

    from ..features.attach import attach_kind
    from ..features.report import map_type_support

    if spec.elf.little != (sys.byteorder == "little"):
        return {"ok": False, "reason": "it is of another byte order", "programs": {}, "maps": {}}
    answers = []
    refused: dict[str, dict[str, str]] = {"programs": {}, "maps": {}}
    try:
        for program in spec.programs:
            try:
                answers.append(support := attach_kind(program.section.removeprefix("?")))
            except ValueError as error:
                refused["programs"][program.name] = str(error)
                continue
            if not support:
                refused["programs"][program.name] = support.reason
        for each in spec.maps:
            if map_support := map_type_support(each.type):
                answers.append(map_support)
                if not map_support:
                    refused["maps"][each.name] = map_support.reason
    except LibraryError as error:
        return {"ok": None, "reason": error.what, **refused}
    unknown = any(support.ok is None for support in answers)
    no = any(support.ok is False for support in answers) or len(answers) < len(spec.programs)
    return {"ok": False if no else None if unknown else True, "reason": "", **refused}
