"""Finds the arch of a vmlinux.h, and reads and writes the comment that this project puts at a header's top.

Refuses a header whose registers don't fit the arch. The comment states the minimizer's mode, or why a program gets the
full header.
"""

import re
from typing import NamedTuple

from .arch import BY_NAME, Arch
from .errors import HeaderError

# A member that only this arch's `struct pt_regs` has; bpf_tracing.h's PT_REGS_* macros read the registers beside it.
# Source: arch/*/include/asm/ptrace.h of Linux 5.8 to 6.19.
PT_REGS_MEMBER = {
    "x86_64": b"orig_ax",
    "aarch64": b"orig_x0",
    "arm": b"uregs",
    "riscv64": b"orig_a0;",
    "powerpc": b"orig_gpr3",
    "s390x": b"orig_gpr2",
    "loongarch64": b"csr_era",
    "mips64": b"cp0_status",
}
# loongarch64 has an orig_a0 as well, so what is asked first decides.
_BY_REGISTERS = ("loongarch64", *(name for name in PT_REGS_MEMBER if name != "loongarch64"))
# Compiled where they are used, and then kept by `re`: a null build needs none of them.
# Each begins with fixed bytes, by which `re` finds its way through a megabyte in a tenth of the time that `^` takes.
_DIRECTIVE = rb"\n[ \t]*#[ \t]*(?:include|import|embed)[^\n]{0,80}"
_HAS = rb"__has_(?:include|embed)\w*"
_MINIMIZED = r"/\*\n(?: \*.*\n)*? \* mode:    (\w+)\n \* kept:    (\d+) of (\d+) declarations"
_FULL = r"/\*\n \* The full vmlinux\.h: .*\n \* why:     (.*)\n"


def arch_of_registers(header: bytes) -> str | None:
    """Returns the name of the arch whose registers the header's `struct pt_regs` holds.

    None where it has none that is known.
    """
    start = header.find(b"\nstruct pt_regs {")
    if start < 0:
        return None
    registers = header[start : header.find(b"\n}", start)]
    return next((name for name in _BY_REGISTERS if PT_REGS_MEMBER[name] in registers), None)


def check_header(header: bytes, arch: Arch, where: str) -> None:
    """Refuses a header whose registers are another arch's: `__TARGET_ARCH_*` would read the wrong ones.

    Raises HeaderError.
    """
    if b"\nstruct " not in header:
        raise HeaderError(
            f"is no vmlinux.h: {len(header)} bytes without one struct",
            where=where,
            fix="a kernel without BTF gives such a stub; pin the header of a kernel built with CONFIG_DEBUG_INFO_BTF=y",
        )
    if found := re.search(_DIRECTIVE, b"\n" + header) or re.search(_HAS, header):
        raise HeaderError(
            f"holds `{found[0].decode().strip()}`; "
            "a vmlinux.h that asks for other files is another one in each project",
            where=where,
            fix="pin a whole header, as bpftool btf dump file … format c writes it",
        )
    check_registers(header, arch, where)
    if arch_of_registers(header) is None:
        raise _unfit(arch, "it has no struct pt_regs that is known", where)


def check_registers(header: bytes, arch: Arch, where: str) -> None:
    """Refuses a header with another arch's registers; a minimized one may well have none. Raises HeaderError."""
    found = arch_of_registers(header)
    if found is not None and BY_NAME[found].kernel != arch.kernel:  # one byte order's registers are the other's
        raise _unfit(arch, f"its struct pt_regs is {found}'s", where, f", or use this one for {found}")


def _unfit(arch: Arch, what: str, where: str, otherwise: str = "") -> HeaderError:
    return HeaderError(
        f"this header does not fit {arch.name} (__TARGET_ARCH_{arch.kernel}): {what}",
        where=where,
        fix=f"pin the {arch.name} header under vmlinux.{arch.name} in toolchain.toml{otherwise}",
    )


MODES = ("off", "exact", "lean", "fields")  # the minimizer's: docs/minimizer.md


class HeaderComment(NamedTuple):
    """A header's stated mode, how many declarations it keeps whole, and how many the full header has."""

    mode: str
    whole: int
    total: int

    def lines(self, declared: int) -> list[str]:
        """Returns the two lines that `read_comment` reads; `declared` counts what is declared and not defined."""
        kept = f"{self.whole} of {self.total} declarations, {declared} more are only declared"
        return [f"mode:    {self.mode}", f"kept:    {kept}"]


def read_comment(text: str) -> HeaderComment:
    """Reads a minimized header's comment; `off` and no counts for a header that isn't minimized."""
    found = re.match(_MINIMIZED, text)
    return HeaderComment(found[1], int(found[2]), int(found[3])) if found else HeaderComment("off", 0, 0)


def with_fallback_reason(text: str, reason: str) -> str:
    """Puts a comment before a full header's text that says why a program gets it without having asked for it."""
    line = " ".join(reason.replace("*/", "* /").split())
    return f"/*\n * The full vmlinux.h: taken by scons-bpf, not for editing.\n * why:     {line}\n */\n{text}"


def fallback_reason(text: str) -> str:
    """Reads the reason that `with_fallback_reason` wrote; empty for any other header."""
    found = re.match(_FULL, text)
    return found[1] if found else ""
