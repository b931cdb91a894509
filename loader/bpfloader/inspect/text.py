"""Prints an inspection as a table: `python -m bpfloader inspect`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

from ..arch import this_arch
from ..package.manifest import parsed_facts

SHOWN_ROWS = 12  # CO-RE records of one program and needs that are shown; --json has all


def inspection_text(found: Mapping[str, Any], arch: str = "") -> str:
    """Returns `inspect`'s findings as a table; of a package, the objects of `arch` (default: this one) in full."""
    lines = [f"{found['file']}: {found['kind']}, sha256 {found['sha256']}"]
    package = found["package"]
    if package:
        lines.append(f"  {package['name']} {package['version']}: the objects are those of its manifest")
    if found["kind"] == "wheel":
        lines.append(f"  {found['recorded']} files are as RECORD says" if found["recorded"] else "  it has no RECORD")
    objects = found["objects"]
    for each in objects:
        if each["path"]:
            lines.append(f"  {each['path']}  {' '.join(each['arches'])}  sha256 {each['sha256']}")
    lines += _btf_lines(package)
    wanted = arch or this_arch()
    shown = [each for each in objects if wanted in each["arches"]] or objects[: not arch]
    if not shown:
        raise ValueError(
            f"there is no object for {arch}; there is {', '.join(a for o in objects for a in o['arches'])}"
        )
    return "\n".join([*lines, *(line for each in shown for line in ["", *_object_lines(each)])])


def _btf_lines(package: Mapping[str, Any] | None) -> Iterable[str]:
    """Yields the BTFs that a package has for kernels without BTF, and which of them would be this kernel's."""
    here, release = this_arch(), os.uname().release
    for arch, packed in parsed_facts(package["programs"]) if package else ():
        mine = packed.btf_for(release) if arch == here else None
        for btf in packed.btfs:
            note = ", this kernel's" if btf == mine else ""
            yield f"  {btf.path}  {arch}  for kernels {btf.kernel} without BTF{note}"


def _object_lines(each: Mapping[str, Any]) -> list[str]:
    licence = f"licence {each['license']}" if each["license"] else "no licence, so no GPL-only helpers"
    lines = [f"{each['path'] or 'Object'}: {each['size']} bytes, {each['byte_order']}-endian, {licence}"]
    lines += [
        *_kernel_lines(each),
        "",
        *_table("Programs", "name section type insns from", map(_program_row, each["programs"])),
    ]
    lines += _table("Functions that they call", "name insns",
                    ((one["name"], str(one["instructions"])) for one in each["functions"]))  # fmt: skip
    lines += _table("Maps", "name type key value entries flags", map(_map_row, each["maps"]))
    for title, part in (("Global variables", "variables"), ("Externs", "externs"), ("struct_ops", "struct_ops")):
        rows = ((one["name"], one["section"], one["type"], one["value"]) for one in each[part])
        lines += _table(title, "name section type value", rows)
    return [*lines, *_core_lines(each), *_type_lines(each["types"])]


def _program_row(one: Mapping[str, Any]) -> tuple[str, ...]:
    marks = (" sleepable" if one["sleepable"] else "") + ("" if one["autoload"] else " off at first")
    return one["name"], one["section"], one["type"] or "?", str(one["instructions"]), f"{one['kernel']}{marks}"


def _map_row(one: Mapping[str, Any]) -> tuple[str, ...]:
    flags = " ".join([*one["flags"], *(["pinned " + one["pinning"]] if one["pinning"] else [])])
    key = f"{one['key'] or '-'} ({one['key_size']})"
    inner = f" of {one['inner']['type']}" if one["inner"] else ""
    return (
        one["name"],
        one["type"] + inner,
        key,
        f"{one['value'] or '-'} ({one['value_size']})",
        str(one["max_entries"]),
        flags,
    )


def _kernel_lines(each: Mapping[str, Any]) -> list[str]:
    """Returns the first kernel that takes it, the reasons, and this kernel's answer."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for need in each["needs"]:
        reasons.setdefault((need["kernel"], need["what"]), []).append(need["for"])
    lines = [
        f"Needs Linux {each['kernel']}"
        + ("; it asks what the kernel has, so an older one may do" if each["asks_kernel"] else "")
    ]
    for (kernel, what), users in list(reasons.items())[:SHOWN_ROWS]:
        shown = _first_names([name for name in users if name])
        lines.append(f"  {kernel:6}{what}: {shown}" if shown else f"  {kernel:6}{what}")
    if len(reasons) > SHOWN_ROWS:
        lines.append(f"        and {len(reasons) - SHOWN_ROWS} things that came before")
    answer = each["this_kernel"]
    if answer:
        verdict = {True: "takes all of it", False: "doesn't take all of it", None: "can't be told"}[answer["ok"]]
        lines.append(f"This kernel {verdict}" + (f": {answer['reason']}" if answer["reason"] else ""))
        refused: dict[str, list[str]] = {}
        for name, why in [*answer["programs"].items(), *answer["maps"].items()]:
            refused.setdefault(why, []).append(name)
        lines += [f"  {_first_names(names)}: {why}" for why, names in refused.items()]
    return lines


def _first_names(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _core_lines(each: Mapping[str, Any]) -> list[str]:
    """Returns the CO-RE accesses by kind, each once, with its count."""
    counts: dict[tuple[str, str], int] = {}
    for one in each["core"]:
        key = one["access"], one["kind"]
        counts[key] = counts.get(key, 0) + 1
    rows = ((access, kind, str(count)) for (access, kind), count in sorted(counts.items()))
    return _table(f"CO-RE ({len(each['core'])} records)", "access kind times", rows)


def _type_lines(types: Mapping[str, Any]) -> list[str]:
    lines = [f"Types: {types['count']}; --type NAME shows one"]
    for name, texts in types["named"].items():
        lines += texts or [f"there is no type {name}"]
    return lines


def _table(title: str, heads: str, rows: Iterable[tuple[str, ...]]) -> list[str]:
    """Returns a title, and its rows in columns; nothing where there are none."""
    table = [tuple(heads.split()), *rows]
    if len(table) == 1:
        return []
    widths = [max(map(len, column)) for column in zip(*table)]
    texts = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in table)
    return [title, *(f"  {text}" for text in texts), ""]
