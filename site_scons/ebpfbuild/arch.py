"""Lists every spelling of an arch, once, with a column per authority."""

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


ARCHES = (
    Arch("x86_64", "x86", "amd64", "x86_64", "x86_64", "x86", aliases=("x86", "amd64")),
    Arch("aarch64", "arm64", "arm64", "aarch64", "aarch64", "aarch64", aliases=("arm64",)),
    Arch("arm", "arm", "armhf", "armv7l", "arm", "arm", pointer=4, aliases=("armhf", "armv7l", "armv7")),
    Arch("riscv64", "riscv", "riscv64", "riscv64", "riscv64", "riscv", aliases=("riscv",)),
    Arch("powerpc", "powerpc", "ppc64el", "ppc64le", "ppc64", "powerpc", aliases=("ppc64le", "ppc64el")),
    Arch("s390x", "s390", "s390x", "s390x", "s390x", "s390x", target="bpfeb", aliases=("s390",)),
    Arch("loongarch64", "loongarch", "loong64", "loongarch64", "loongarch64", "loongarch", aliases=("loongarch", "loong64")),
)

BY_NAME = {spelling: arch for arch in ARCHES for spelling in (arch.name, *arch.aliases)}


def arch_named(spelling: str, where: str = "ARCH") -> Arch:
    """Returns the arch that a name or alias stands for.

    Raises ArchError naming the nearest spelling and the whole list.
    """
    try:
        return BY_NAME[spelling.strip().lower()]
    except KeyError:
        import difflib

        near = difflib.get_close_matches(spelling, BY_NAME, n=1)
        hint = f"did you mean {near[0]}?" if near else "take one"
        names = ", ".join(arch.name for arch in ARCHES)
        raise ArchError(f"no arch is called {spelling!r}", where=where, fix=f"{hint} (there are {names})") from None


def arches_named(text: str, where: str = "ARCH") -> tuple[Arch, ...]:
    """Returns the arches of a comma list, or all for `all`, in the table's order and each once. Raises ArchError."""
    words = [word for word in text.split(",") if word.strip()]
    if not words:
        raise ArchError("names no arch", where=where, fix="take a name, a comma list or all")
    if any(word.strip().lower() == "all" for word in words):
        return ARCHES
    wanted = {arch_named(word, where) for word in words}
    return tuple(arch for arch in ARCHES if arch in wanted)


def host_arch(machine: str) -> Arch:
    """Returns the arch of a machine that calls itself `machine` (`platform.machine()`). Raises ArchError."""
    for arch in ARCHES:
        if machine == arch.machine or (arch.name == "arm" and machine.startswith("armv")):
            return arch
    return arch_named(machine, "this machine")
