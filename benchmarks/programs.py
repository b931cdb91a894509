"""Compiles the programs that loader.py and leaks.py load with the pinned compiler, and generates their skeletons."""

import os
import platform
import re
import shutil
import subprocess
import sys

from build import ROOT

for folder in ("site_scons", "loader"):
    sys.path.insert(0, str(ROOT / folder))

from ebpfbuild.arch import arch_named
from ebpfbuild.compile.args import CompileArgs
from ebpfbuild.compile.clang import locate
from ebpfbuild.elf.strip import strip_dwarf
from ebpfbuild.rebuild.ledger import Ledger
from ebpfbuild.skeleton.skeleton import render
from ebpfbuild.fetch.store import Store, cache_folder
from ebpfbuild.pins.toolchain import load as load_toolchain

PACKET = bytes(64)  # the input of a test run of events.bpf.c's producer


class Inputs:
    """The two objects and their skeletons, in a scratch folder that can be imported from."""

    def __init__(self, scratch):
        toolchain, store = load_toolchain(ROOT / "toolchain.toml"), Store(cache_folder(os.environ))
        spec = toolchain.compiler
        self.arch, self.scratch = arch_named(platform.machine()), scratch
        self.clang = locate(spec.package, spec.path, spec.version, spec.where, Ledger(scratch / "ledger")).argv
        (scratch / "include" / "bpf").mkdir(parents=True)
        (scratch / "include" / "vmlinux.h").symlink_to(store.get(toolchain.header(self.arch.name).sha256))
        for name, path in store.tree(toolchain.libbpf.sha256).items():
            (scratch / "include" / "bpf" / name).symlink_to(path)
        self.build("events", ROOT / "benchmarks" / "events.bpf.c", ROOT / "tests" / "testdata")
        shutil.copytree(ROOT / "bpf", scratch / "bpf")
        tracker = scratch / "bpf" / "socket_tracker.bpf.c"
        tracker.write_text(re.sub(r'SEC\("fentry/.*?\n}\n', "", tracker.read_text(), flags=re.DOTALL))
        self.build("socket_tracker", tracker, scratch / "include")
        sys.path.insert(0, str(scratch))

    def build(self, name, source, headers):
        """Compiles a program and generates its skeleton."""
        out = self.scratch / f"{name}.bpf.o"
        args = CompileArgs(self.clang, self.arch, str(source), str(out), str(headers), str(self.scratch / "include"))
        command = [*self.clang, *args.flags(), "-w", "-c", str(source), "-o", str(out)]
        subprocess.run(command, cwd=source.parent, check=True)
        out.write_bytes(strip_dwarf(out.read_bytes()))
        skeleton = render(out.read_bytes(), name, self.arch.name, out.name)
        (self.scratch / f"{name}_skel.py").write_text(skeleton)
