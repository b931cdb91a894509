"""Explains libbpf's messages about an object that name something that this kernel or libbpf lacks."""

from __future__ import annotations

import re
from collections.abc import Callable

from ..btf.kernel import kernel_names
from ..btf.reader import FUNC, TYPEDEF, Btf
from ..errors import TRY_ANOTHER, Explanation
from ..kernel.versions import section_kinds
from ..libbpf.library import version
from ..suggest import nearest, suggestion

WEAK = "declare it __weak and test it before use"


def explain_load(messages: str, section: str, btf: Btf | None) -> Explanation | None:
    """Explains a refused load by libbpf's messages; returns None if none of them is known.

    `section` is the failed program's, `btf` the kernel's where it can be read.
    """
    for pattern, explain in LOAD_MESSAGES:
        found = pattern.search(messages)
        if found:
            return explain(found, section, btf)
    return None


def explain_open(messages: str) -> Explanation | None:
    """Explains by its messages why libbpf doesn't open an object; returns None if none of them is known."""
    for pattern, what, fix in OPEN_MESSAGES:
        found = re.search(pattern, messages)
        if found:
            return Explanation(what.format(*found.groups(), libbpf=f"libbpf {version()}"), fix)
    return None


def _unknown_section(found: re.Match[str], _section: str, _btf: Btf | None) -> Explanation:
    """Explains that libbpf knows no program type for a section, with the names nearest to it."""
    name = found[2]
    if name == ".text":
        return Explanation(
            f"{found[1]} has no SEC(…), which says what kind of program it is",
            'write SEC("tp/…") or another before it',
        )
    what = f"libbpf {version()} doesn't know the section {name}"
    known = [kind.section for kind in section_kinds()]
    close = nearest(name.split("/")[0], known, 0.5)
    return Explanation(what, "spell it as libbpf does" + (f": {', '.join(close)} …" if close else ""))


def _hook(found: re.Match[str], section: str, btf: Btf | None) -> Explanation:
    """Explains that the kernel's BTF lacks a function or tracepoint, with the names nearest to it."""
    from .kernel_function import copies_of

    names = kernel_names(btf, TYPEDEF if "tp_btf" in section else FUNC)
    if copies := copies_of(found[1]) if "tp_btf" not in section else []:
        what = f"this kernel has no function {found[1]}; it has {', '.join(copies)}"
        return Explanation(what, 'take SEC("kprobe") for that: fentry and its like take no copy that the compiler made')
    fix = suggestion(found[1], names)
    return Explanation(
        f"this kernel has no such function or tracepoint: {found[1]}",
        f"{fix}; or {TRY_ANOTHER}" if fix else TRY_ANOTHER,
    )


def _kfunc(found: re.Match[str], _section: str, btf: Btf | None) -> Explanation:
    fix = suggestion(found[1], kernel_names(btf, FUNC))
    return Explanation(f"this kernel has no kfunc {found[1]}", f"{fix}; or {WEAK}" if fix else WEAK)


def _unpinned(found: re.Match[str], _section: str, _btf: Btf | None) -> Explanation:
    fix = "pin in a BPF file system: mount -t bpf bpf /sys/fs/bpf"
    return Explanation(f"a map can't be pinned ({found[1].strip()})", fix)


def _template(what: str, fix: str) -> Explainer:
    """Returns an explanation from texts alone; `{0}` is the first group of the message's pattern."""
    return lambda found, *_: Explanation(what.format(*found.groups()), fix.format(*found.groups()))


Explainer = Callable[["re.Match[str]", str, "Btf | None"], Explanation]
LOAD_MESSAGES = tuple((re.compile(pattern), explain) for pattern, explain in (
    (r"prog '([^']*)': missing BPF prog type, check ELF section name '([^']*)'", _unknown_section),
    (r"failed to find kernel BTF type ID of '([^']*)'", _hook),
    (r"extern \(func ksym\) '(\w+)'.*not found", _kfunc),
    (r"extern (?:\(\w+ ksym\) )?'(\w+)'.*(?:not found|not resolved)",
     _template("this kernel has no {0} (an extern of the program)", WEAK)),
    (r"failed to open system Kconfig",
     _template("this kernel doesn't tell its configuration, which the program's __kconfig externs want",
             "declare them __weak, or boot a kernel with CONFIG_IKCONFIG_PROC=y")),
    (r"couldn't reuse pinned map at '([^']*)': parameter mismatch",
     _template("the map pinned at {0} has another type or sizes", "rm {0}, or pin elsewhere")),
    (r"failed to (?:auto-)?pin (?:map )?(?:at )?'?([^':\n]*)", _unpinned),
    (r"prog '([^']*)': attach program FD is not set",
     _template("{0} is to replace a function of a program that it wasn't told",
             "call progs.{0}.set_attach_target(function, program) before load")),
    (r"struct_ops init_kern: struct (\w+) is not found in kernel BTF",
     _template("this kernel has no struct_ops {0}", TRY_ANOTHER)),
    (r"Couldn't load trivial BPF program|Couldn't create simple array map",
     _template("the kernel denies even the simplest program",
             "boot a kernel with CONFIG_BPF_SYSCALL=y; in a container see whether its seccomp profile "
             "denies bpf(2); `python -m bpfloader probe` shows the rest")),
))  # fmt: skip

LINK = (
    'link them first: BpfObject("whole", ["one.bpf.c", "other.bpf.c"]) in the SConscript, '
    "or bpftool gen object whole.bpf.o one.bpf.o other.bpf.o"
)
# Messages of src/libbpf.c from 1.0 to 1.7, each (pattern, what, fix); a fix names the first version that can do it.
OPEN_MESSAGES = (
    (r"failed to find BTF for extern '([^']*)'", "{0} is defined in another object", LINK),
    (r"sec '([^']*)': program '([^']*)' is static", "the program {1} in SEC(\"{0}\") is static",
     "remove `static`: libbpf finds programs by their global symbols"),
    (r"map '([^']*)': attr '(\w+)': expected PTR, got enum",
     "{libbpf} doesn't know how the map {0} states its {1}", "install libbpf 1.4 or newer"),
    (r"bad map relo against '([^']*)' in section '\.addr_space\.1'",
     "{libbpf} doesn't know arenas, as {0} needs one", "install libbpf 1.4 or newer"),
    (r"bad map relo against '(\.bss\.[^']*)' in section",
     "{libbpf} makes no map of {0}", "install libbpf 1.1 or newer"),
    (r"struct_ops reloc (\w+): prog (\w+) is not struct_ops BPF program",
     "{libbpf} doesn't know the section of {1}, a program of the struct_ops map {0}", "install libbpf 1.2 or newer"),
)  # fmt: skip
