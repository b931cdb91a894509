"""Prints what this kernel supports, as a table or as JSON: `python -m bpfloader probe`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from .attach import Support
from .report import Report, support_dict

MARKS = {True: "yes", False: "no", None: "?"}
LINE_WIDTH = 100


def as_json(value: Any) -> str:
    """Returns JSON with sorted keys, so that two reports can be compared as texts."""
    return json.dumps(value, indent=1, sort_keys=True)


def kinds_text(kinds: Iterable[Support], wants_json: bool) -> str:
    """Returns the answers for some kinds of programs."""
    if wants_json:
        return as_json({each.name: support_dict(each) for each in kinds})
    return "\n".join(_rows({each.name: each for each in kinds}))


def report_text(report: Report) -> str:
    """Returns the report as a table: the names of what the kernel has, the reasons for what it lacks."""
    lines = [f"Linux {report.kernel}, {report.machine}; libbpf {report.libbpf or 'not installed'}", ""]
    lines += [*_environment_rows(report), ""]
    parts = ("Ways to attach", report.attach), ("Program types", report.program_types), ("Map types", report.map_types)
    for title, part in parts:
        lines += [f"{title} ({sum(map(bool, part.values()))} of {len(part)})", *_rows(part), ""]
    lines.append("Helpers, by the types of programs that may call them; --json lists their names")
    lines += _wrapped_lines(f"{name} {len(found)}" for name, found in report.helpers.items())
    return "\n".join(lines)


def _environment_rows(report: Report) -> list[str]:
    environment = report.environment
    built = [name.removeprefix("CONFIG_") for name, there in environment.config.items() if there]
    lacks = [name.removeprefix("CONFIG_") for name, there in environment.config.items() if not there]
    unknown = "not told"
    rows = {
        "BTF of the kernel": " ".join([MARKS[environment.btf], *(f"but {each}" for each in environment.packed_btf)]),
        "JIT (net.core.bpf_jit_enable)": unknown if environment.jit is None else str(environment.jit),
        "kernel.unprivileged_bpf_disabled": unknown if environment.unprivileged_bpf_disabled is None
        else str(environment.unprivileged_bpf_disabled),
        "lockdown": environment.lockdown or unknown,
        "security modules": environment.security_modules or unknown,
        "this process has": ", ".join(environment.capabilities) or "no capability that BPF asks for",
        "in a user namespace": MARKS[environment.user_namespace],
        "under a seccomp filter": MARKS[environment.seccomp_filter],
        "RLIMIT_MEMLOCK": "unlimited" if environment.memlock_limit is None else f"{environment.memlock_limit} bytes",
        "mounted": ", ".join(f"{kind} at {path}" for kind, path in sorted(environment.mounts.items())) or "nothing",
        "built with CONFIG_": " ".join(built) or unknown,
        "built without CONFIG_": " ".join(lacks) or unknown,
    }  # fmt: skip
    return [line for name, text in rows.items() for line in _row(name, text)]


def _row(name: str, text: str) -> list[str]:
    first, *rest = _wrapped_lines(text.split(" "), LINE_WIDTH - 34, " ") or [""]
    return [f"{name:34}{first.strip()}", *(f"{'':34}{line.strip()}" for line in rest)]


def _rows(part: Mapping[str, Support]) -> list[str]:
    return [
        f"  {support.name:26} {MARKS[support.ok]:4} {support.since:6}{support.reason}".rstrip()
        for support in part.values()
    ]


def _wrapped_lines(words: Iterable[str], width: int = LINE_WIDTH, between: str = ", ") -> list[str]:
    lines: list[str] = []
    for word in words:
        if lines and len(lines[-1]) + len(between) + len(word) <= width:
            lines[-1] += between + word
        else:
            lines.append(f"  {word}")
    return lines
