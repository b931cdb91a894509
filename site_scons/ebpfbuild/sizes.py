"""What minimizing saves: declarations, lines, bytes and compile time, as a table."""

import statistics
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from .compile import CompileArgs, run_clang, with_header
from .header import needs_ms_extensions

RUNS = 3


class Size(NamedTuple):
    """One row: a program, its arch, the record of its minimized header, and the seconds of a compile with either header."""

    program: str
    arch: str
    record: dict
    minimized: float
    full: float


def measure(args: CompileArgs, full: str, record: dict, root: str) -> Size:
    """The row of one object; the median of three compiles each, wall clock. Raises CompileError."""
    seconds = [_compile_seconds(each, root) for each in (args, with_header(args, full))]
    return Size(args.source, args.arch.name, record, *seconds)


def table(sizes: Iterable[Size]) -> str:
    """The rows as text, in columns, each figure beside the full header's."""
    rows = [("program", "arch", "mode", "declarations", "lines", "bytes", "compile")]
    for size in sorted(sizes):
        record = size.record
        whole, lines, data = record["declarations"], record["lines"], record["bytes"]
        rows.append((
            size.program, size.arch, record["mode"], f"{whole['whole']} of {whole['of']}", f"{lines['kept']} of {lines['of']}",
            f"{data['kept']} of {data['of']}", f"{size.minimized:.3f} of {size.full:.3f} s",
        ))
    widths = [max(map(len, column)) for column in zip(*rows)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def _compile_seconds(args: CompileArgs, root: str) -> float:
    ms_extensions = needs_ms_extensions(Path(root, args.vmlinux).read_bytes())
    seconds = []
    with tempfile.NamedTemporaryFile(suffix=".o") as scratch:
        for _ in range(RUNS):
            start = time.perf_counter()
            run_clang(args, ["-c", args.source, "-o", scratch.name], ms_extensions, root)
            seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)
