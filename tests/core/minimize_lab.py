"""What the minimizer's tests build with: a folder, the pinned clang, and headers full, stubbed and minimized."""

import subprocess
from pathlib import Path

from ebpfbuild.elf.strip import strip_dwarf
from ebpfbuild.errors import CompileError
from ebpfbuild.minimize.emit import stub
from ebpfbuild.minimize.fallback import settle
from ebpfbuild.minimize.index import index_header
from ebpfbuild.minimize.modes import minimize
from ebpfbuild.minimize.names import names_of
from ebpfbuild.prove.objects import prove

FLAGS = "-target bpfel -mcpu=v3 -O2 -g -std=gnu11 -fms-extensions -Wno-everything -ffile-compilation-dir=. -I.".split()
PRELUDE = """
#define SEC(name) __attribute__((section(name), used))
static long (*probe_read)(void *dst, unsigned int size, const void *from) = (void *)113;
static unsigned int (*random)(void) = (void *)7;
#define CORE(a) __builtin_preserve_access_index(a)
#define READ(src, a) ({ typeof((src)->a) value; probe_read(&value, sizeof(value), CORE(&(src)->a)); value; })
char LICENSE[] SEC("license") = "GPL";
"""


class Lab:
    """One full header and programs that include it, compiled in one folder."""

    def __init__(self, clang: list[str], folder: Path, header: str):
        self.clang, self.folder, self.index = clang, folder, index_header(header)

    def clang_on(self, header: str, program: str, *flags: str) -> bytes:
        """What clang writes for a program with this text as vmlinux.h. Raises CompileError."""
        (self.folder / "vmlinux.h").write_text(header)
        (self.folder / "p.bpf.c").write_text(program)
        command = [*self.clang, *FLAGS, *flags, "p.bpf.c", "-o", "out"]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True)
        if done.returncode:
            raise CompileError("clang refused it", details=tuple(done.stderr.splitlines()))
        return (self.folder / "out").read_bytes()

    def names(self, program: str):
        """The names of a program."""
        return names_of(self.clang_on(stub(self.index), program, "-E", "-dD").decode())

    def compiled(self, header: str, program: str) -> bytes:
        """The object, free of DWARF."""
        return strip_dwarf(self.clang_on(header, program, "-c"))

    def minimized(self, program: str, mode: str, keep_whole=()):
        """The minimized header of a program."""
        return minimize(self.index, self.names(program), mode, "p.bpf.c", "x86_64", "6.19", "00", keep_whole)

    def verdict(self, program: str, mode: str, keep_whole=()):
        """What the proof says of a program's object in a mode."""
        header = self.minimized(program, mode, keep_whole)
        return prove(self.compiled(self.index.text, program), self.compiled(header.text, program), mode)

    def settled(self, program: str, mode: str, report=lambda text: None):
        """Where the fallbacks end."""
        full = self.compiled(self.index.text, program)
        return settle(
            mode,
            lambda step, keep: self.minimized(program, step, keep),
            lambda header: self.compiled(header.text, program),
            lambda made, step: prove(full, made, step),
            report,
        )
