"""Tries the minimizer on many programs: does each compile with the minimized header, and is its object proven the same?

    .venv/bin/python benchmarks/minimize_corpus.py MANIFEST --header FILE --libbpf FOLDER [--arch x86] [--mode exact …]
        [--clang zig|clang-19|…] [--only TEXT] [--step N] [-j N]

MANIFEST is JSON: a list of {"id", "source", "include_dirs", "idirafter", "defines"}, paths relative to its folder; a
"libbpf" in it is taken instead of FOLDER. Nothing of such a corpus is part of this project. A program that the full
header doesn't compile is skipped. Prints each that fails, differs or ends in another mode than the one asked for, then
counts and medians, mode by mode. Exits 1 if any program fails.
"""

import argparse
import collections
import concurrent.futures
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "site_scons"))

from ebpfbuild.elf.strip import strip_dwarf
from ebpfbuild.errors import CompileError, EbpfError
from ebpfbuild.minimize.emit import stub
from ebpfbuild.minimize.fallback import settle
from ebpfbuild.minimize.index import index_header
from ebpfbuild.minimize.modes import MODES, minimize
from ebpfbuild.minimize.names import conflicts, names_of
from ebpfbuild.prove.objects import prove

FLAGS = """-mcpu=v3 -O2 -g -std=gnu11 -nostdinc -fms-extensions -Wno-microsoft-anon-tag -Wno-everything
-ffile-compilation-dir=.""".split()


class Corpus:
    """A manifest, a header and a compiler."""

    def __init__(self, arguments, scratch):
        self.arguments, self.scratch = arguments, scratch
        self.root, self.libbpf = Path(arguments.manifest).resolve().parent, Path(arguments.libbpf).resolve()
        self.text = Path(arguments.header).read_text()
        self.index = index_header(self.text)
        self.clang = [arguments.clang]
        if arguments.clang == "zig":
            import ziglang

            self.clang = [str(Path(ziglang.__file__).with_name("zig")), "clang"]
        for name, text in {"full": self.text, "stub": stub(self.index)}.items():
            (scratch / name).mkdir()
            (scratch / name / "vmlinux.h").write_text(text)

    def programs(self):
        """Returns the manifest's rows that --only and --step select."""
        rows = json.loads(Path(self.arguments.manifest).read_text())
        return [row for row in rows if self.arguments.only in row["id"]][:: self.arguments.step]

    def clang_on(self, row, folder, *flags):
        """Runs clang on a program and returns what it printed. Raises CompileError."""
        target = "bpfeb" if self.arguments.arch == "s390" else "bpfel"
        command = [*self.clang, "-target", target, *FLAGS, f"-D__TARGET_ARCH_{self.arguments.arch}"]
        command += [f"-D{define}" for define in row["defines"]] + [
            f"-I{folder}",
            f"-I{row.get('libbpf', self.libbpf)}",
        ]
        command += [f"-I{each}" for each in row["include_dirs"]]
        for each in row["idirafter"]:
            command += ["-idirafter", each]
        done = subprocess.run(
            [*command, *flags, row["source"]],
            cwd=self.root,
            capture_output=True,
            check=False,
            text=True,
            errors="replace",
        )
        if done.returncode:
            raise CompileError("clang refused it", details=tuple(done.stderr.splitlines()))
        return done.stdout

    def compiled(self, row, folder):
        """Returns the object without DWARF, and the wall seconds that clang compile_seconds."""
        with tempfile.TemporaryDirectory(dir=self.scratch) as into:
            output = Path(into, "out.o")
            start = time.perf_counter()
            self.clang_on(row, folder, "-c", "-o", str(output))
            return strip_dwarf(output.read_bytes()), time.perf_counter() - start

    def outcomes_of(self, row):
        """Tries one program; returns a row for each mode, whose `fate` is skipped, fails, or the mode it ends in."""
        modes = self.arguments.mode
        try:
            full, seconds = self.compiled(row, self.scratch / "full")
        except CompileError:
            return [{"fate": "skipped"}] * len(modes)
        try:
            names = names_of(self.clang_on(row, self.scratch / "stub", "-E", "-dD"))
        except EbpfError as error:
            return [{"fate": "fails", "notices": [str(error)]}] * len(modes)
        return [{"plain": seconds} | self._settled(row, names, full, mode) for mode in modes]

    def _settled(self, row, names, full, mode):
        compile_seconds = []
        if macros := conflicts(self.index, names):
            return {"fate": "full header", "notices": [f"defines {', '.join(macros)} before vmlinux.h"]}

        def header_of(mode, keep_whole):
            return minimize(self.index, names, mode, row["id"], self.arguments.arch, "", "", keep_whole)

        def compile_(header):
            (folder / "vmlinux.h").write_text(header.text)
            made_object, seconds = self.compiled(row, folder)
            compile_seconds.append(seconds)
            return made_object

        with tempfile.TemporaryDirectory(dir=self.scratch) as into:
            folder = Path(into)
            try:
                settled = settle(mode, header_of, compile_, lambda one, step: prove(full, one, step), lambda text: None)
            except EbpfError as error:
                return {"fate": "fails", "notices": [str(error)]}
        lines = settled.minimized.text.count("\n")
        return {
            "fate": settled.minimized.mode,
            "notices": settled.notices,
            "lines": lines,
            "compile": compile_seconds[-1],
            "rounds": len(compile_seconds),
        }


def main():
    """Prints the outcome."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("manifest")
    parser.add_argument("--header", required=True)
    parser.add_argument("--libbpf", required=True)
    parser.add_argument("--arch", default="x86", help="as in __TARGET_ARCH_…")
    parser.add_argument("--mode", default=["exact"], choices=MODES, nargs="+")
    parser.add_argument("--clang", default="zig")
    parser.add_argument("--only", default="")
    parser.add_argument("--step", type=int, default=1)
    parser.add_argument("-j", type=int, default=2)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch, concurrent.futures.ThreadPoolExecutor(arguments.j) as pool:
        corpus = Corpus(arguments, Path(scratch))
        programs = corpus.programs()
        outcomes = list(pool.map(corpus.outcomes_of, programs))
    for mode, of_mode in zip(arguments.mode, zip(*outcomes, strict=True), strict=True):
        print(f"\n{arguments.header}, {arguments.clang}, {mode}:")
        for row, outcome in zip(programs, of_mode, strict=True):
            if outcome["fate"] not in ("skipped", mode):
                print(f"{row['id']}: {outcome['fate']}: {' | '.join(outcome['said'])[:400]}")
        report(mode, of_mode, corpus.text.count("\n"))
    sys.exit(any(outcome["fate"] in ("fails", "off") for row in outcomes for outcome in row))


def report(mode, outcomes, lines):
    """Prints counts and medians."""
    tried = [outcome for outcome in outcomes if outcome["fate"] != "skipped"]
    fates = collections.Counter(outcome["fate"] for outcome in tried)
    held = [outcome for outcome in tried if outcome["fate"] == mode]
    print(f"  {len(tried)} programs ({len(outcomes) - len(tried)} skipped): {dict(fates.most_common())}")
    if held:
        kept, at_once = [outcome["lines"] for outcome in held], sum(outcome["rounds"] == 1 for outcome in held)
        for name, of in (("median", statistics.median), ("mean", statistics.mean)):
            print(f"  {name} lines kept: {of(kept):.0f} of {lines} ({100 - 100 * of(kept) / lines:.1f} % gone)")
        ratio = statistics.median(each["compile"] / each["plain"] for each in held)
        print(f"  median compile: {ratio:.2f} of the full header's")
        print(f"  proven at once: {at_once}, after keeping types whole: {len(held) - at_once}")


if __name__ == "__main__":
    main()
