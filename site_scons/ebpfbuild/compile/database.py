"""Writes compile_commands.json for clangd."""

import json
from collections.abc import Iterable

from .args import CompileArgs


def compile_commands(compiles: Iterable[CompileArgs], directory: str) -> str:
    """Returns the text of a compile_commands.json for clangd, sorted, of compiles that run in `directory`.

    It is the one output that names a folder of this machine: clangd asks for it. Source: clang's
    JSONCompilationDatabase.
    """
    entries = [
        {"directory": directory, "file": each.source, "output": each.output, "arguments": each.command()}
        for each in sorted(compiles, key=lambda each: (each.source, each.output))
    ]
    return json.dumps(entries, indent=1) + "\n"
