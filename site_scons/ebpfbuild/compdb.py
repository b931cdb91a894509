"""compile_commands.json for clangd. The one output that names a folder of this machine: clangd asks for it."""

import json
from collections.abc import Iterable
from typing import NamedTuple


class CompileCommand(NamedTuple):
    """One entry: the source, the object and the arguments of its compile, with paths relative to the project's root."""

    source: str
    output: str
    arguments: tuple[str, ...]


def compile_commands(commands: Iterable[CompileCommand], directory: str) -> str:
    """The text of a compile_commands.json, sorted. Source: clang's JSONCompilationDatabase."""
    entries = [
        {"directory": directory, "file": each.source, "output": each.output, "arguments": list(each.arguments)}
        for each in sorted(commands, key=lambda each: (each.source, each.output))
    ]
    return json.dumps(entries, indent=1) + "\n"
