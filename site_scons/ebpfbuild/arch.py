"""Lists every spelling of an arch, once, with a column per authority."""

import sys
from typing import NamedTuple

from .errors import ArchError


class Arch(NamedTuple):
    """An arch as each authority spells it.

    name      libbpf/vmlinux.h folder and the name used throughout this project
    kernel    suffix of `__TARGET_ARCH_…` in libbpf's bpf_tracing.h
    debian    Debian's architecture name
    machine   what `uname -m` prints and Python's platform tag ends in (`linux_…`)
    qemu      suffix of `qemu-system-…`
    zig       prefix of the ziglang wheel's folder of the arch's asm/ headers, `…-linux-any`
    target    clang's BPF target, which carries the byte order
    pointer   size of a kernel pointer in bytes
    aliases   other names that `ARCH=` takes
    go        Go's GOARCH, by which OCI images name platforms; empty where Go doesn't know it
    """

    name: str
    kernel: str
    debian: str
    machine: str
    qemu: str
    zig: str
    target: str = "bpfel"
    pointer: int = 8
    aliases: tuple[str, ...] = ()
    go: str = ""


ARCHES = (
    Arch("x86_64", "x86", "amd64", "x86_64", "x86_64", "x86", aliases=("x86", "amd64"), go="amd64"),
    Arch("aarch64", "arm64", "arm64", "aarch64", "aarch64", "aarch64", aliases=("arm64",), go="arm64"),
    Arch("arm", "arm", "armhf", "armv7l", "arm", "arm", pointer=4, aliases=("armhf", "armv7l", "armv7"), go="arm"),
    Arch("riscv64", "riscv", "riscv64", "riscv64", "riscv64", "riscv", aliases=("riscv",), go="riscv64"),
    Arch("powerpc", "powerpc", "ppc64el", "ppc64le", "ppc64", "powerpc", aliases=("ppc64le", "ppc64el"), go="ppc64le"),
    Arch("s390x", "s390", "s390x", "s390x", "s390x", "s390x", target="bpfeb", aliases=("s390",), go="s390x"),
    Arch(
        "loongarch64",
        "loongarch",
        "loong64",
        "loongarch64",
        "loongarch64",
        "loongarch",
        aliases=("loongarch", "loong64"),
        go="loong64",
    ),
)

# Those that libbpf's bpf_tracing.h knows and libbpf/vmlinux.h has no header of: a project brings one (path=), or
# includes UAPI headers alone. ARCH=all leaves them out.
OTHER_ARCHES = (
    Arch("mips64", "mips", "mips64", "mips64", "mips64", "mips", target="bpfeb", go="mips64"),
    Arch("mips64el", "mips", "mips64el", "mips64", "mips64el", "mips", go="mips64le"),
    Arch("ppc64", "powerpc", "ppc64", "ppc64", "ppc64", "powerpc", target="bpfeb", go="ppc64"),
    Arch("armeb", "arm", "armeb", "armv7b", "arm", "arm", target="bpfeb", pointer=4),
)
EVERY_ARCH = (*ARCHES, *OTHER_ARCHES)
# CPUs that a near name would be an odd guess for. Source of the reason: bpf_tracing.h of libbpf 1.5, `bpf_target_x86`.
_I386 = "libbpf's bpf_tracing.h reads 64-bit x86's registers behind a vmlinux.h, and i386 passes arguments in others"
UNKNOWN = dict.fromkeys(("i386", "i486", "i586", "i686", "x86_32"), _I386) | dict.fromkeys(
    ("riscv32", "mips", "mipsel", "ppc", "ppc32", "sparc", "sparc64", "arc", "m68k", "parisc", "alpha", "hexagon"),
    "take one",
)

BY_NAME = {spelling: arch for arch in EVERY_ARCH for spelling in (arch.name, *arch.aliases)}


def arch_named(spelling: str, where: str = "ARCH") -> Arch:
    """Returns the arch that a name or alias stands for.

    Raises ArchError naming the nearest spelling and the whole list.
    """
    try:
        return BY_NAME[spelling.strip().lower()]
    except KeyError:
        import difflib

        why = UNKNOWN.get(spelling.strip().lower())
        near = [] if why else difflib.get_close_matches(spelling, BY_NAME, n=1, cutoff=0.75)
        hint = f"did you mean {near[0]}?" if near else why or "take one"
        names, others = (", ".join(arch.name for arch in arches) for arches in (ARCHES, OTHER_ARCHES))
        there = f"there are {names}; and, with a header of your own, {others}"
        raise ArchError(f"no arch is called {spelling!r}", where=where, fix=f"{hint} ({there})") from None


def arches_named(text: str, where: str = "ARCH") -> tuple[Arch, ...]:
    """Returns the arches of a comma list, or all for `all`, in the table's order and each once. Raises ArchError."""
    words = [word for word in text.split(",") if word.strip()]
    if not words:
        raise ArchError("names no arch", where=where, fix="take a name, a comma list or all")
    if any(word.strip().lower() == "all" for word in words):
        return ARCHES
    wanted = {arch_named(word, where) for word in words}
    return tuple(arch for arch in EVERY_ARCH if arch in wanted)


def host_arch(machine: str) -> Arch:
    """Returns the arch of a machine that calls itself `machine` (`platform.machine()`). Raises ArchError."""
    if machine == "mips64" and sys.byteorder == "little":
        return BY_NAME["mips64el"]
    for arch in EVERY_ARCH:
        if machine == arch.machine:
            return arch
    if machine.startswith("armv"):
        return BY_NAME["armeb" if machine.endswith("b") else "arm"]
    return arch_named(machine, "this machine")
