"""Builds a program as the build does: the minimizer's step and the compile's, without SCons."""

import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from ebpfbuild.arch import arch_named
from ebpfbuild.compile.args import CompileArgs, with_header
from ebpfbuild.compile.object import compile_object
from ebpfbuild.minimize.index_cache import IndexCache
from ebpfbuild.rebuild.ledger import Ledger
from ebpfbuild.minimize.program import MinimizeArgs, minimize_programs

MODES = ("off", "exact", "lean", "fields")


class Built(NamedTuple):
    """An object, the header that it was made with, and what the build said beside."""

    object: bytes
    header: str
    notices: tuple[str, ...]


class Report:
    """Keeps the notices of a step."""

    def __init__(self):
        self.notices: list[str] = []

    def notice(self, text: str) -> None:
        self.notices.append(text)


class StepLab:
    """A project's folder with one full header, libbpf's headers and the programs that tests put there."""

    def __init__(
        self, clang: list[str], root: Path, header: str, libbpf: Mapping[str, Path] | None = None, arch="x86_64"
    ):
        self.clang, self.root, self.arch, self.header = tuple(clang), root, arch_named(arch), header
        self.cache = IndexCache(root / "cache", Ledger(root / "ledger").fact)
        self.known = ["full/vmlinux.h"]
        self.write("full/vmlinux.h", header)
        for name, path in (libbpf or {}).items():
            (root / "libbpf/bpf").mkdir(parents=True, exist_ok=True)
            shutil.copy(path, root / "libbpf/bpf" / name)
            self.known.append(f"libbpf/bpf/{name}")

    def write(self, name: str, text: str) -> None:
        """Puts a file below the project's folder."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def build(self, program: str, mode: str, headers: Mapping[str, str] | None = None, **options) -> Built:
        """The object of a program in a mode. `headers` are files beside it. Raises what the build's steps raise."""
        self.write("p.bpf.c", program)
        for name, text in (headers or {}).items():
            self.write(name, text)
        known = [*self.known, *(headers or {}), "small/vmlinux.h"]
        args = CompileArgs(self.clang, self.arch, "p.bpf.c", "out/p.bpf.o", "full", "libbpf", **options)
        (self.root / "out").mkdir(exist_ok=True)
        report, text = Report(), self.header
        if mode != "off":
            digest = hashlib.sha256(self.header.encode()).hexdigest()
            step = MinimizeArgs((args,), "p", mode, digest, "6.19")
            text = minimize_programs(step, self.cache, known, str(self.root), report.notice)
            self.write("small/vmlinux.h", text)
        used = args if mode == "off" else with_header(args, "small/vmlinux.h")
        compile_object(used, "full/vmlinux.h", known, str(self.root), report.notice)
        return Built((self.root / "out/p.bpf.o").read_bytes(), text, tuple(report.notices))
