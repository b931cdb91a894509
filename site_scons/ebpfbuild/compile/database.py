"""Writes compile_commands.json for clangd."""

from collections.abc import Iterable
from json.encoder import encode_basestring_ascii as quoted

from .args import CompileArgs


def compile_commands(compiles: Iterable[CompileArgs], directory: str) -> str:
    """Returns the text of a compile_commands.json for clangd, sorted, of compiles that run in `directory`.

    It is the one output that names a folder of this machine: clangd asks for it. Source: clang's
    JSONCompilationDatabase.
    """
    entries = (_entry(each, directory) for each in sorted(compiles, key=lambda each: (each.source, each.output)))
    return "[\n" + ",\n".join(entries) + "\n]\n"


def _entry(compile_args: CompileArgs, directory: str) -> str:
    """Returns an entry as json.dumps writes it with indent=1, which takes four times as long."""
    arguments = ",\n".join(f"   {quoted(argument)}" for argument in compile_args.command())
    return f""" {{
  "directory": {quoted(directory)},
  "file": {quoted(compile_args.source)},
  "output": {quoted(compile_args.output)},
  "arguments": [
{arguments}
  ]
 }}"""
