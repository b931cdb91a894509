"""compile_commands.json for clangd. The one output that names a folder of this machine: clangd asks for it."""

import json
from collections.abc import Iterable

from .object import CompileArgs


def compile_commands(compiles: Iterable[CompileArgs], directory: str) -> str:
    """The text of a compile_commands.json, sorted, of compiles that run in `directory`. Source: clang's JSONCompilationDatabase."""
    entries = [
        {"directory": directory, "file": each.source, "output": each.output, "arguments": each.command()}
        for each in sorted(compiles, key=lambda each: (each.source, each.output))
    ]
    return json.dumps(entries, indent=1) + "\n"
