"""Measures the cost of minimizing and what it saves, per program: medians in one run, beside the targets.

    .venv/bin/python benchmarks/minimize.py [runs] [program.bpf.c …]

Programs are bpf/*.bpf.c and a few generated ones, or those given. Needs the x86_64 header and libbpf's headers in the
cache, which any build leaves there. The plain compile is the same clang with the same flags and the full header. All
times are CPU milliseconds: each step is one thread, and other work on the machine changes them less than wall time.
"""

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from build import ROOT
from many import program

sys.path.insert(0, str(ROOT / "site_scons"))

from ebpfbuild.arch import arch_named
from ebpfbuild.compile.args import CompileArgs
from ebpfbuild.compile.clang import locate
from ebpfbuild.rebuild.ledger import Ledger
from ebpfbuild.minimize.emit import stub
from ebpfbuild.minimize.index import dump_index, index_header, load_index
from ebpfbuild.minimize.modes import minimize
from ebpfbuild.minimize.names import names_of
from ebpfbuild.fetch.store import Store, cache_folder
from ebpfbuild.pins.toolchain import load as load_toolchain

MODES = ("exact", "lean", "fields")
# Milliseconds, on a machine where a plain compile takes PLAIN: elsewhere their share of a plain compile is what tells.
TARGETS, PLAIN = {"index": 30, "load": 5, "close": 3}, 136
FIRST, CHANGED = 0.55, 0.30  # of a plain compile
COLUMNS = ("program", "mode", "lines", "plain", "-E", "names", "close", "compile", "first", "change")


class Bench:
    """One header, one compiler, a scratch folder."""

    def __init__(self, scratch):
        toolchain, store = load_toolchain(ROOT / "toolchain.toml"), Store(cache_folder(os.environ))
        spec = toolchain.compiler
        self.clang = locate(spec.package, spec.path, spec.version, spec.where, Ledger(scratch / "ledger")).argv
        self.text = store.get(toolchain.header("x86_64").sha256).read_text()
        self.scratch = scratch
        (scratch / "libbpf" / "bpf").mkdir(parents=True)
        for name, path in store.tree(toolchain.libbpf.sha256).items():
            (scratch / "libbpf" / "bpf" / name).symlink_to(path)
        self.index = index_header(self.text)
        self.stored = dump_index(self.index)
        for name, text in {"full": self.text, "stub": stub(self.index)}.items():
            self.place(name, text)

    def place(self, name, text):
        """Writes a header as <scratch>/<name>/vmlinux.h."""
        (self.scratch / name).mkdir(exist_ok=True)
        (self.scratch / name / "vmlinux.h").write_text(text)

    def clang_on(self, source, header, *flags):
        """Runs clang once; returns its CPU milliseconds, and what it printed."""
        args = CompileArgs(
            self.clang, arch_named("x86_64"), str(source), "", str(self.scratch / header), str(self.scratch / "libbpf")
        )
        command = [*self.clang, *args.flags(), "-w", *flags, str(source)]
        start = children()
        done = subprocess.run(command, capture_output=True, check=False, text=True, cwd=self.scratch)
        spent = (children() - start) * 1000
        if done.returncode:
            sys.exit(done.stderr)
        return spent, done.stdout

    def once(self, source):
        """Runs every step for a program once: name -> milliseconds."""
        row = {}
        row["plain compile"], _ = self.clang_on(source, "full", "-c", "-o", "full.o")
        row["preprocess"], preprocessed = self.clang_on(source, "stub", "-E", "-dD")
        row["names"], names = timed(lambda: names_of(preprocessed))
        for mode in MODES:
            index = load_index(self.stored)
            row[f"{mode}: close"], minimized = timed(
                partial(minimize, index, names, mode, "p", "x86_64", "6.19", "0" * 64)
            )
            self.place(mode, minimized.text)
            row[f"{mode}: compile"], _ = self.clang_on(source, mode, "-c", "-o", f"{mode}.o")
            row[f"{mode}: lines"] = minimized.text.count("\n")
        return row


def timed(step):
    """Returns the CPU milliseconds of a step, and its result."""
    start = time.process_time()
    result = step()
    return (time.process_time() - start) * 1000, result


def children():
    """Returns the CPU seconds of all processes that this one has started and awaited."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def main(runs=7, *sources):
    """Prints the tables."""
    with tempfile.TemporaryDirectory() as scratch:
        bench = Bench(Path(scratch))
        sources = [Path(source).resolve() for source in sources] or [
            *(ROOT / "bpf").glob("*.bpf.c"),
            *generated(scratch),
        ]
        index = statistics.median(timed(lambda: index_header(bench.text))[0] for _ in range(runs))
        stored = statistics.median(timed(lambda: load_index(bench.stored))[0] for _ in range(runs))
        rows = {source.name: [] for source in sources}
        for _ in range(runs):
            for source in sources:
                rows[source.name].append(bench.once(source))
    lines = bench.text.count("\n")
    print(f"medians of {runs} runs, CPU milliseconds; header of {len(bench.text) / 1e6:.1f} MB, {lines} lines")
    exact = {"index": index, "load": stored} | table(rows, stored, lines)
    print(f"\n{'step':20} {'ms':>6} {'of a plain compile':>20} {'target':>7}")
    for name, target in TARGETS.items():
        share = exact[name] / exact["plain"]
        print(f"{name:20} {exact[name]:6.1f} {share:20.3f} {target / PLAIN:7.3f}  ({target} ms of {PLAIN})")


def generated(scratch):
    """Yields ten programs that differ in what they use."""
    for number in range(0, 40, 4):
        source = Path(scratch, f"generated{number}.bpf.c")
        source.write_text(program(number))
        yield source


def table(rows, stored, lines):
    """Prints a line per program and mode, and the medians over all programs. Returns those of `exact` by step."""
    print("\n{:26} {:7} {:>6} {:>7} {:>6} {:>6} {:>6} {:>7} {:>6} {:>6}".format(*COLUMNS))
    sums = {mode: [] for mode in MODES}
    for name, runs in rows.items():
        row = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
        for mode in MODES:
            plain, close, compiled = (row[key] for key in ("plain compile", f"{mode}: close", f"{mode}: compile"))
            changed = (row["preprocess"] + row["names"] + compiled) / plain
            first = changed + (stored + close) / plain
            figures = (row[f"{mode}: lines"], plain, row["preprocess"], row["names"], close, compiled, first, changed)
            sums[mode].append(figures)
            print(line(name, mode, figures))
    print()
    for mode in MODES:
        print(line("median of all", mode, [statistics.median(column) for column in zip(*sums[mode], strict=True)]))
    print(f"{'target':26} {'':7} {lines // 50:6} {'':36} {FIRST:6.2f} {CHANGED:6.2f}")
    medians = [statistics.median(column) for column in zip(*sums["exact"], strict=True)]
    return dict(zip(("lines", "plain", "-E", "names", "close"), medians, strict=False))


def line(name, mode, figures):
    """Formats a line of the table."""
    return "{:26} {:7} {:6.0f} {:7.1f} {:6.1f} {:6.1f} {:6.1f} {:7.1f} {:6.2f} {:6.2f}".format(name, mode, *figures)


if __name__ == "__main__":
    main(*[int(argument) if argument.isdigit() else argument for argument in sys.argv[1:]])
