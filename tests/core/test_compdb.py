"""compile_commands.json for clangd."""

import json

from ebpfbuild.compdb import CompileCommand, compile_commands


def test_entries_are_sorted_and_complete():
    commands = [CompileCommand("b.c", "build/b.o", ("clang", "-c", "b.c")), CompileCommand("a.c", "build/a.o", ("clang", "-c", "a.c"))]
    text = compile_commands(commands, "/project")
    assert text == compile_commands(reversed(commands), "/project")
    assert json.loads(text)[0] == {"directory": "/project", "file": "a.c", "output": "build/a.o", "arguments": ["clang", "-c", "a.c"]}
