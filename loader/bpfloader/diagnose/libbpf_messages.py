"""What libbpf's messages about an object mean, where they name something that this kernel or libbpf lacks."""

from __future__ import annotations

import re
from collections.abc import Callable

from ..btf.kernel import kernel_names
from ..btf.reader import FUNC, TYPEDEF, Btf
from ..errors import ANOTHER
from ..kernel.versions import SECTIONS
from ..libbpf.library import version
from ..suggest import near, nearest

WEAK = "declare it __weak and test it before use"


def meaning(said: str, section: str, btf: Btf | None) -> tuple[str, str] | None:
    """(what is wrong, the next step) by libbpf's messages; None if none of them is known.

    `section` is the failed program's, `btf` the kernel's where it can be read.
    """
    for pattern, explain in SAYINGS:
        found = pattern.search(said)
        if found:
            return explain(found, section, btf)
    return None


def unopened(said: str) -> tuple[str, str] | None:
    """(what is wrong, the next step) of an object that libbpf doesn't open, by its messages; None if none is known."""
    for pattern, what, fix in OPENINGS:
        found = re.search(pattern, said)
        if found:
            return what.format(*found.groups(), libbpf=f"libbpf {version()}"), fix
    return None


def _unknown_section(found: re.Match[str], _section: str, _btf: Btf | None) -> tuple[str, str]:
    """libbpf knows no program type for a section; the names nearest to it."""
    name = found[2]
    if name == ".text":
        return (
            f"{found[1]} has no SEC(…), which says what kind of program it is",
            'write SEC("tp/…") or another before it',
        )
    what = f"libbpf {version()} doesn't know the section {name}"
    known = [row.split()[0] for row in re.split(r";\s|\n", SECTIONS)]
    close = nearest(name.split("/")[0], known, 0.5)
    return what, "spell it as libbpf does" + (f": {', '.join(close)} …" if close else "")


def _hook(found: re.Match[str], section: str, btf: Btf | None) -> tuple[str, str]:
    """A function or tracepoint that isn't in the kernel's BTF, with the names nearest to it."""
    names = kernel_names(btf, TYPEDEF if "tp_btf" in section else FUNC)
    fix = near(found[1], names)
    return f"this kernel has no such function or tracepoint: {found[1]}", f"{fix}; or {ANOTHER}" if fix else ANOTHER


def _kfunc(found: re.Match[str], _section: str, btf: Btf | None) -> tuple[str, str]:
    fix = near(found[1], kernel_names(btf, FUNC))
    return f"this kernel has no kfunc {found[1]}", f"{fix}; or {WEAK}" if fix else WEAK


Explain = Callable[["re.Match[str]", str, "Btf | None"], "tuple[str, str]"]
SAYINGS: tuple[tuple[re.Pattern[str], Explain], ...] = tuple((re.compile(pattern), explain) for pattern, explain in (
    (r"prog '([^']*)': missing BPF prog type, check ELF section name '([^']*)'", _unknown_section),
    (r"failed to find kernel BTF type ID of '([^']*)'", _hook),
    (r"extern \(func ksym\) '(\w+)'.*not found", _kfunc),
    (r"extern (?:\(\w+ ksym\) )?'(\w+)'.*(?:not found|not resolved)",
     lambda found, *_: (f"this kernel has no {found[1]} (an extern of the program)", WEAK)),
    (r"failed to open system Kconfig",
     lambda found, *_: ("this kernel doesn't tell its configuration, which the program's __kconfig externs want",
                       "declare them __weak, or boot a kernel with CONFIG_IKCONFIG_PROC=y")),
    (r"couldn't reuse pinned map at '([^']*)': parameter mismatch",
     lambda found, *_: (f"the map pinned at {found[1]} has another type or sizes", f"rm {found[1]}, or pin elsewhere")),
    (r"failed to (?:auto-)?pin (?:map )?(?:at )?'?([^':\n]*)",
     lambda found, *_: (f"a map can't be pinned ({found[1].strip()})",
                       "pin in a BPF file system: mount -t bpf bpf /sys/fs/bpf")),
    (r"prog '([^']*)': attach program FD is not set",
     lambda found, *_: (f"{found[1]} is to replace a function of a program that it wasn't told",
                       f"call progs.{found[1]}.set_attach_target(function, program) before load")),
    (r"struct_ops init_kern: struct (\w+) is not found in kernel BTF",
     lambda found, *_: (f"this kernel has no struct_ops {found[1]}", ANOTHER)),
    (r"Couldn't load trivial BPF program|Couldn't create simple array map",
     lambda found, *_: ("the kernel denies even the simplest program",
                       "boot a kernel with CONFIG_BPF_SYSCALL=y; in a container see whether its seccomp profile "
                       "denies bpf(2); `python -m bpfloader probe` shows the rest")),
))  # fmt: skip

LINK = "link them first: bpftool gen object whole.bpf.o one.bpf.o other.bpf.o"
OPENINGS = (  # what libbpf says (src/libbpf.c, from 1.0 to 1.7); the versions are those of the tags that know it first
    (r"failed to find BTF for extern '([^']*)'", "{0} is defined in another object", LINK),
    (r"sec '([^']*)': program '([^']*)' is static", "the program {1} in SEC(\"{0}\") is static",
     "remove `static`: libbpf finds programs by their global symbols"),
    (r"map '([^']*)': attr '(\w+)': expected PTR, got enum",
     "{libbpf} doesn't know how the map {0} states its {1}", "install libbpf 1.4 or newer"),
    (r"bad map relo against '([^']*)' in section '\.addr_space\.1'",
     "{libbpf} doesn't know arenas, as {0} needs one", "install libbpf 1.4 or newer"),
    (r"bad map relo against '(\.bss\.[^']*)' in section", "{libbpf} makes no map of {0}", "install libbpf 1.1 or newer"),
    (r"struct_ops reloc (\w+): prog (\w+) is not struct_ops BPF program",
     "{libbpf} doesn't know the section of {1}, a program of the struct_ops map {0}", "install libbpf 1.2 or newer"),
)  # fmt: skip
