"""Explains libbpf's messages about an object that name something that this kernel or libbpf lacks."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable

from ..btf.kernel import kernel_names
from ..btf.reader import FUNC, TYPEDEF, Btf
from ..errors import TRY_ANOTHER, Explanation
from ..kernel.host import denial_fix, mounts
from ..kernel.versions import section_kinds
from ..libbpf.library import version
from ..suggest import nearest, suggestion

COMPILE_AGAIN = "correct that in its source, and compile it again with clang -target bpf -g"
PIN_IN_BPF = "pin in a BPF file system: mount -t bpf bpf /sys/fs/bpf"
# Messages that only say that a step has failed; others say why.
EMPTY_WORDS = re.compile(
    r"failed to (?:(?:auto-)?attach|load|create|prepare|initialize|open object)|BPF program load failed"
    r"|Retrying without BTF"
)
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


def explain_attach(messages: str) -> Explanation | None:
    """Explains a refused attach by libbpf's messages; returns None if none of them is known."""
    return _by_texts(messages, ATTACH_MESSAGES)


def explain_open(messages: str) -> Explanation:
    """Explains by its messages why libbpf doesn't open an object; in libbpf's own words if none of them is known."""
    return _by_texts(messages, OPEN_MESSAGES) or Explanation(own_words(messages), COMPILE_AGAIN)


def _by_texts(messages: str, rows: Iterable[tuple[str, str, str]]) -> Explanation | None:
    """Explains messages by the first row (pattern, what, fix) that finds one; `{0}` is the pattern's first group."""
    for pattern, what, fix in rows:
        found = re.search(pattern, messages)
        if found:
            return Explanation(what.format(*found.groups(), libbpf=f"libbpf {version()}"), fix.format(*found.groups()))
    return None


def own_words(messages: str) -> str:
    """Returns the last of libbpf's messages that says more than that something failed; empty without one."""
    begins = messages.find("-- BEGIN PROG LOAD LOG --")
    lines = messages[:begins].splitlines() if begins >= 0 else messages.splitlines()
    said = (line.strip().removeprefix("libbpf: ").rstrip(".") for line in lines if not EMPTY_WORDS.search(line))
    return next(filter(None, reversed(list(said))), "")


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
        f"{fix} (set_attach_target takes it, before load); or {TRY_ANOTHER}" if fix else TRY_ANOTHER,
    )


def _kfunc(found: re.Match[str], _section: str, btf: Btf | None) -> Explanation:
    fix = suggestion(found[1], kernel_names(btf, FUNC))
    return Explanation(f"this kernel has no kfunc {found[1]}", f"{fix}; or {WEAK}" if fix else WEAK)


def _unpinned(found: re.Match[str], _section: str, _btf: Btf | None) -> Explanation:
    place = mounts(["bpf"]).get("bpf")
    fix = f"pin in a BPF file system, such as {place}" if place else PIN_IN_BPF
    return Explanation(f"a map can't be pinned ({found[1].strip()})", fix)


def _no_pin_folder(found: re.Match[str], _section: str, _btf: Btf | None) -> Explanation:
    """Explains that the folder of a pin isn't there: libbpf makes the last one of its path alone."""
    folder = os.path.dirname(found[1])
    what = f"a map can't be pinned ({found[1]}): there is no folder {folder}"
    return Explanation(what, f"make it: mkdir -p {folder}")


def _denied(*_: object) -> Explanation:
    """Explains that nothing may be loaded at all: by what is seen of this process, else by what may be."""
    fix = (
        "boot a kernel with CONFIG_BPF_SYSCALL=y; in a container see whether its seccomp profile denies bpf(2); "
        "`python -m bpfloader probe` shows the rest"
    )
    return Explanation("the kernel denies even the simplest program", denial_fix() or fix)


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
    (r"couldn't retrieve pinned map '([^']*)'",
     _template("what is pinned at {0} can't be had", "rm {0}, or run as root")),
    (r"failed to mkdir ([^:\n]*): No such file", _no_pin_folder),
    (r"failed to (?:auto-)?pin (?:map )?(?:at )?'?([^':\n]*)", _unpinned),
    (r"prog '([^']*)': attach program FD is not set",
     _template("{0} is to replace a function of a program that it wasn't told",
             "call progs.{0}.set_attach_target(function, program) before load")),
    (r"prog '([^']*)': no BTF-based attach target is specified",
     _template("{0} has no target, which the kernel checks as it loads it",
             'write it into the section, SEC("fentry/FUNCTION"), or call progs.{0}.set_attach_target(function)')),
    (r"prog '([^']*)': SEC\(.struct_ops.\) program isn't referenced",
     _template("no struct_ops map names {0}", 'name it in a map in SEC(".struct_ops"), or set its autoload = False')),
    (r"prog '([^']*)': subprog '([^']*)' arg#(\d+) is expected to be of `struct (\w+) \*`",
     _template("argument {2} of {1}, a function that {0} calls, is no context", "declare it as struct {3} *")),
    (r"extern \(kcfg\) '([^']*)': value '([^']*)' (implies [^\n.]*|isn't [^\n.]*|doesn't fit[^\n.]*)",
     _template("the extern {0} has the value {1}, which {2}", "declare {0} with that type")),
    (r"failed to parse '([^']*)': no (?:separator|value)",
     _template("kconfig= has a line that is no option with a value: {0}", 'give values such as {{"CONFIG_HZ": 250}}')),
    (r"extern \((?:var|func) ksym\) '(\w+)'.*incompatible",
     _template("this kernel's {0} has another type than the program declares", "declare it as this kernel has it")),
    (r"extern \(ksym\) '(\w+)': resolution is ambiguous",
     _template("this kernel has several symbols {0}", "take another symbol")),
    (r"\.maps relo #\d+: '([^']*)' isn't (?:a valid|a BTF-defined|an entry)[^\n]*",
     _template("a map's initial values name {0}, which is neither a map nor a program that it takes",
             "name a map that is declared as the inner one is, or a program with a section")),
    (r"struct_ops init_kern: struct (\w+) is not found in kernel BTF",
     _template("this kernel has no struct_ops {0}", TRY_ANOTHER)),
    (r"Couldn't load trivial BPF program|Couldn't create simple array map", _denied),
))  # fmt: skip

LINK = (
    'link them first: BpfObject("whole", ["one.bpf.c", "other.bpf.c"]) in the SConscript, '
    "or bpftool gen object whole.bpf.o one.bpf.o other.bpf.o"
)
# Messages of src/libbpf.c from 1.0 to 1.7, each (pattern, what, fix); a fix names the first version that can do it.
OPEN_MESSAGES = (
    (r"legacy map definitions in 'maps' section", 'it has maps in SEC("maps")',
     'declare them in SEC(".maps"): libbpf 1 takes no others'),
    (r"map '([^']*)': invalid pinning value (\d+)", "the map {0} has pinning {1}, which libbpf doesn't know",
     "write __uint(pinning, LIBBPF_PIN_BY_NAME), or leave it out and call pin(path)"),
    (r"map '([^']*)': can't determine (key|value) size", "the {1} of the map {0} has a type that is only declared",
     "include the header that defines it: vmlinux.h, or linux/bpf.h for struct bpf_cgroup_storage_key"),
    (r"map '([^']*)': conflicting (key|value) size (\d+) != (\d+)", "the map {0} states two {1} sizes, {2} and {3}",
     "state it once, by __type({1}, …) or by __uint({1}_size, …)"),
    (r"map '([^']*)': unknown field '([^']*)'", "the map {0} has a field {1} that {libbpf} doesn't know",
     "take {1} out, or install a newer libbpf"),
    (r"map '([^']*)': map type isn't specified", "the map {0} has no type", "write __uint(type, BPF_MAP_TYPE_…)"),
    (r"map '([^']*)': inner def can't be pinned", "the map inside {0} pins itself", "pin the outer map alone"),
    (r"map '([^']*)': multi-level inner maps", "the map {0} has maps of maps inside", "nest maps once"),
    (r"map '([^']*)': should be map-in-map or prog-array", "the map {0} has `values`, but holds no maps or programs",
     "write BPF_MAP_TYPE_ARRAY_OF_MAPS, _HASH_OF_MAPS or _PROG_ARRAY"),
    (r"map '([^']*)': unsupported map linkage static", "the map {0} is static", "remove `static`"),
    (r"map '([^']*)': only single ARENA map is supported \(map '([^']*)'", "{0} and {1} are both arenas",
     "put all into one"),
    (r"declared ARENA map size \((\d+)\) is too small to hold global __arena variables of size (\d+)",
     "the arena has {0} bytes, and its variables take {1}", "raise its max_entries, which are pages"),
    (r"to use global __arena variables the ARENA map should be explicitly declared",
     "it has __arena variables and no arena", 'declare one in SEC(".maps")'),
    (r"BTF is required, but is missing or corrupted", "it has no BTF, or a broken one",
     "compile it with clang -target bpf -g"),
    (r"invalid license section", 'SEC("license") holds no text', 'write char LICENSE[] SEC("license") = "GPL";'),
    (r"invalid kver section", 'SEC("version") holds no __u32', "leave it out: kernels since 5.0 don't ask for it"),
    (r"couldn't find symbol table", "its symbol table was stripped",
     "strip it with llvm-strip -g, which keeps the symbols"),
    (r"extern function (\S+) is unsupported under \.kconfig", "the function {0} is declared __kconfig",
     "declare kernel functions __ksym"),
    (r"prog '([^']*)': no \.text section found yet sub-program call exists",
     "{0} calls a function that the object lacks", "link the object that has it, or make it static __always_inline"),
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
NEWER_OR_UPROBE = "install a newer libbpf, or take a uprobe at the function"
# Messages of src/usdt.c from 1.0 to 1.7.
ATTACH_MESSAGES = (
    (r"did you forget to include bpf/usdt\.bpf\.h", "the object has no maps for static probes",
     "include <bpf/usdt.bpf.h> in its source, of the libbpf that loads it"),
    (r"usdt: attaching to shared libraries without specific PID", "this kernel probes a library in one process alone",
     "give pid=; Linux 5.15 probes it in all"),
    (r"usdt: attaching to (\d+)-bit ELF binary '[^']*' is not supported",
     "the binary has {0} bits, this process hasn't", "run a Python of {0} bits"),
    (r"usdt: unrecognized arg #(\d+) spec '([^']*)'",
     "argument {0} of the probe has the form {1}, which {libbpf} doesn't read", NEWER_OR_UPROBE),
    (r"usdt: unsupported arg #(\d+) \(spec '([^']*)'\)",
     "argument {0} of the probe has the form {1}, which {libbpf} doesn't read", NEWER_OR_UPROBE),
    (r"usdt: unrecognized register '([^']*)'",
     "an argument of the probe is in the register {0}, which {libbpf} doesn't read", NEWER_OR_UPROBE),
    (r"usdt: too many USDT arguments \(> (\d+)\)", "the probe has more than {0} arguments", NEWER_OR_UPROBE),
    (r"usdt: kernel doesn't support USDT semaphore", "this kernel can't raise the probe's semaphore",
     "take Linux 4.20 or newer, or a probe without a semaphore"),
)  # fmt: skip
