"""compile_commands.json for clangd."""

import json

from ebpfbuild.arch import BY_NAME
from ebpfbuild.compile.args import CompileArgs
from ebpfbuild.compile.database import compile_commands


def test_entries_are_sorted_and_complete():
    compiles = [CompileArgs(("zig",), BY_NAME["arm"], f"{name}.c", f"build/{name}.o", "headers", "libbpf") for name in "ba"]
    text = compile_commands(compiles, "/project")
    assert text == compile_commands(reversed(compiles), "/project")
    first, second = json.loads(text)
    assert {name: first[name] for name in ("directory", "file", "output")} == {"directory": "/project", "file": "a.c", "output": "build/a.o"}
    assert first["arguments"][0] == "clang" and first["arguments"][-4:] == ["-c", "a.c", "-o", "build/a.o"]
    assert second["file"] == "b.c"
