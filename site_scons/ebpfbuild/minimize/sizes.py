"""Measures what minimizing saves: declarations, lines, bytes and compile time, as a table."""

import statistics
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from ..compile.args import CompileArgs, with_header
from ..compile.object import run_clang
from ..header import HeaderComment, read_comment

RUNS = 3


class Size(NamedTuple):
    """A row: a program, its arch, then pairs of the minimized header's and the full one's.

    Those are lines, bytes and seconds of a compile.
    """

    program: str
    arch: str
    comment: HeaderComment
    lines: tuple[int, int]
    bytes: tuple[int, int]
    seconds: tuple[float, float]


def measure(args: CompileArgs, full: str, root: str) -> Size:
    """Measures one object; times are medians of three compiles each, wall clock. Raises CompileError."""
    texts = [Path(root, path).read_bytes() for path in (args.vmlinux, full)]
    lines, sizes = zip(*((text.count(b"\n"), len(text)) for text in texts))
    seconds = _compile_seconds(args, root), _compile_seconds(with_header(args, full), root)
    return Size(args.source, args.arch.name, read_comment(texts[0].decode()), lines, sizes, seconds)


def table(sizes: Iterable[Size]) -> str:
    """Returns the rows as text, in columns, each figure beside the full header's."""
    rows = [("program", "arch", "mode", "declarations", "lines", "bytes", "compile")]
    for size in sorted(sizes):
        comment, lines, data, seconds = size.comment, size.lines, size.bytes, size.seconds
        kept = f"{comment.whole} of {comment.total}" if comment.total else "all"
        rows.append(
            (
                size.program,
                size.arch,
                comment.mode,
                kept,
                f"{lines[0]} of {lines[1]}",
                f"{data[0]} of {data[1]}",
                f"{seconds[0]:.3f} of {seconds[1]:.3f} s",
            )
        )
    widths = [max(map(len, column)) for column in zip(*rows)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def _compile_seconds(args: CompileArgs, root: str) -> float:
    seconds = []
    with tempfile.NamedTemporaryFile(suffix=".o") as scratch:
        for _ in range(RUNS):
            start = time.perf_counter()
            run_clang(args, ["-c", args.source, "-o", scratch.name], root)
            seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)
