"""What is wrong with the place that a program was to be attached to, looked for once the kernel has refused it.

`fault` is given the errno, the program's section and what was asked for: `binary`, `function`, `provider`, `name`,
`category`, `pid`, `cgroup`, `namespace`, `interface`. What wasn't asked for is the section's.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Mapping
from typing import Any, Optional

from ..btf.kernel import KERNEL_BTF, kernel_names, kernel_types
from ..btf.reader import FUNC, TYPEDEF
from ..errors import Explanation
from ..files import open_file
from ..kernel.host import missing_options, mounts, read_text
from ..kernel.perf_event import PERF_TYPE_HARDWARE, PERF_TYPE_HW_CACHE, PERF_TYPE_RAW, online_cpus
from ..kernel.tracefs import NO_TRACEFS, TRACING
from ..suggest import SHOWN, suggestion
from ..symbols.binary import Binary, is_library, libraries, others, resolved

COUNTERS = (PERF_TYPE_HARDWARE, PERF_TYPE_HW_CACHE, PERF_TYPE_RAW)
Asked = Mapping[str, Any]
Fault = Optional[Explanation]  # None if what is wrong isn't known
NO_FUNCTION = (errno.ENOENT, 4001)  # libbpf's LIBBPF_ERRNO__FORMAT, for a function that a program only calls
LIST_FUNCTIONS = "`nm -D` lists the functions of a library, `nm` those of a program"


def fault(number: int, section: str, asked: Asked) -> Fault:
    """Explains what is wrong with the place; None where it isn't the place, or where that can't be seen."""
    head, _, target = section.removeprefix("?").partition("/")
    kind = head.removesuffix(".s").split(".")[0]
    found = FAULTS[kind](number, target, asked) if kind in FAULTS else _descriptor(number, target, asked)
    if not found and number == errno.ESRCH and asked.get("pid", 0) > 0:
        return Explanation(f"there is no process {asked['pid']}", "give the id of one that runs")
    return found


def _uprobe(number: int, target: str, asked: Asked) -> Fault:
    binary, function = os.fsdecode(asked.get("binary", "")), asked.get("function", "")
    offset = asked.get("offset", 0)

    def inside(path: str, file: Binary) -> Fault:
        if number == errno.EINVAL and offset >= file.size:
            return Explanation(
                f"the offset {offset:#x} is beyond the end of {path}, {file.size:#x}", "give one inside of it"
            )
        return _function(path, file, function) if number in NO_FUNCTION else None

    return _in_binary(binary, inside)


def _usdt(number: int, target: str, asked: Asked) -> Fault:
    provider, _, name = target.rpartition(":")
    binary, _, provider = provider.rpartition(":")
    binary = os.fsdecode(asked.get("binary") or binary)
    probe = f"{asked.get('provider') or provider}:{asked.get('name') or name}"
    return _in_binary(binary, lambda path, file: _static_probe(path, file, probe) if number == errno.ENOENT else None)


def _in_binary(binary: str, inside: Callable[[str, Binary], Fault]) -> Fault:
    """What is wrong with a binary, or with what is looked for inside it."""
    path = resolved(binary)
    if not path or not os.path.exists(path):
        return _no_binary(binary)
    if os.path.isdir(path):
        return Explanation(f"{path} is a folder", "name a program or a library")
    try:
        with open_file(path) as opened:
            return inside(path, Binary(opened))
    except ValueError as error:
        return Explanation(f"{path} is no program or library ({error})", "give the path of an ELF file")
    except OSError:
        return None


def _no_binary(binary: str) -> Explanation:
    if "/" in binary:
        return Explanation(f"there is no file {binary}", "give the path of a program or a library")
    kind = "library" if is_library(binary) else "program"
    what = f"there is no {kind} {binary} where libbpf looks for it"
    named = libraries(binary)
    if named:
        return Explanation(what, f'libraries go by their file\'s name: "{named[0]}"')
    return Explanation(what, suggestion(binary, others(binary), "give its path"))


def _function(path: str, file: Binary, function: str) -> Fault:
    names = file.symbols()
    plain = function.split("@")[0]
    if function in names.functions or not function:
        return None
    if plain in names.indirect:
        what = f"{path} chooses what {plain} is as it is loaded (an indirect function), which libbpf can't probe"
        of_it = ", ".join(sorted(name for name in names.functions if plain in name)[:SHOWN])
        there = f": {of_it}" if of_it else ", by its offset"
        return Explanation(what, f"take one of its implementations{there}")
    if plain in names.imported:
        return Explanation(f"{path} only calls {plain}, which is a library's", "name that library, such as libc.so.6")
    if not names.functions:
        return Explanation(
            f"{path} has no symbols, so no function {function}", "give the function's offset in the file instead"
        )
    return Explanation(f"{path} has no function {function}", suggestion(plain, names.functions, LIST_FUNCTIONS))


def _static_probe(path: str, file: Binary, probe: str) -> Fault:
    probes = file.probes()
    if not probes:
        return Explanation(
            f"{path} has no static probes (.note.stapsdt)", "take a build with USDT, or a uprobe at a function"
        )
    if probe in probes:
        return None
    fix = suggestion(probe, probes, f"`readelf -n {path}` lists them")
    return Explanation(f"{path} has no static probe {probe}", fix)


def _kprobe(number: int, target: str, asked: Asked) -> Fault:
    function = asked.get("function") or target.partition("+")[0]
    if (
        number not in (errno.ENOENT, errno.ESRCH)
        or missing_options("kprobe")
        or not function
        or "*" in function
        or "?" in function
    ):
        return None
    return _unless_known(function, FUNC, "function", "/proc/kallsyms lists those that it has")


def _raw_tracepoint(number: int, target: str, asked: Asked) -> Fault:
    name = asked.get("name") or target
    return _unless_known(name, TYPEDEF, "raw tracepoint", "") if number == errno.ENOENT else None


def _unless_known(name: str, kind: int, what: str, otherwise: str) -> Fault:
    """The fault of a name that the kernel's BTF doesn't have; None for one that it has."""
    names = kernel_names(kernel_types(KERNEL_BTF), kind)
    return (
        None
        if not names or name in names
        else Explanation(f"this kernel has no {what} {name}", suggestion(name, names, otherwise))
    )


def _tracepoint(number: int, target: str, asked: Asked) -> Fault:
    if number != errno.ENOENT:
        return None
    folder = next(filter(os.path.isdir, TRACING), None)
    if folder is None:
        return NO_TRACEFS
    category, _, name = target.partition("/")
    category, name = asked.get("category") or category, asked.get("name") or name
    there = _listed(f"{folder}/{category}")
    if name in there:
        return None
    homes = [each for each in _listed(folder) if os.path.isdir(f"{folder}/{each}/{name}")]
    if homes:
        return Explanation(f"this kernel has no tracepoint {category}/{name}", f"it is {homes[0]}/{name}")
    among = [f"{category}/{each}" for each in there] or _listed(folder)
    fix = suggestion(f"{category}/{name}" if there else category, among, f"see {folder}")
    return Explanation(f"this kernel has no tracepoint {category}/{name}", fix)


def _listed(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _perf_event(number: int, target: str, asked: Asked) -> Fault:
    """What is wrong with a perf event (perf_event_open(2))."""
    if "event" not in asked:  # by the section, which names none
        return None
    (kind, config), cpu = asked["event"], asked["cpu"]
    most = int(read_text("/proc/sys/kernel/perf_event_max_sample_rate") or 0)
    if number == errno.EINVAL and 0 < most < asked["frequency"]:
        what = f"a frequency of {asked['frequency']} is above kernel.perf_event_max_sample_rate, {most}"
        return Explanation(what, f"give at most {most}, or raise it: sysctl kernel.perf_event_max_sample_rate=N")
    if number in (errno.EINVAL, errno.ENODEV) and cpu >= 0 and cpu not in online_cpus():
        return Explanation(f"there is no CPU {cpu} online", f"those are online: {', '.join(map(str, online_cpus()))}")
    if number in (errno.ENOENT, errno.EOPNOTSUPP, errno.EINVAL, errno.ENODEV):
        if kind in COUNTERS:
            return Explanation(
                "this machine has no such hardware counter (is it a virtual one?)", 'sample by "cpu-clock"'
            )
        if number == errno.ENOENT:
            return Explanation(
                f"this kernel has no perf event of type {kind}, config {config:#x}", "see linux/perf_event.h"
            )
    return None


def _descriptor(number: int, target: str, asked: Asked) -> Fault:
    """What is wrong with the cgroup, namespace or interface that was asked for."""
    if number == errno.EBADF and "cgroup" in asked:
        return Explanation(f"{_named(asked['cgroup'])} is no cgroup v2 folder", cgroups())
    if number == errno.EINVAL and "namespace" in asked:
        return Explanation(f"{_named(asked['namespace'])} is no network namespace", NAMESPACES)
    if number in (errno.EINVAL, errno.ENODEV, errno.ENOENT) and "interface" in asked:
        from socket import if_indextoname, if_nameindex

        try:
            if_indextoname(asked["interface"])
        except OSError:
            names = ", ".join(f"{index} {name}" for index, name in if_nameindex())
            return Explanation(f"there is no interface with the index {asked['interface']}", f"there are {names}")
    return None


NAMESPACES = "give the path of one, such as /proc/self/ns/net or /run/netns/NAME"


def _named(given: Any) -> str:
    return f"the descriptor {given}" if isinstance(given, int) else os.fspath(given)


def cgroups() -> str:
    """The next step for what is no cgroup: where cgroup v2 is mounted, or how to mount it."""
    place = mounts(["cgroup2"]).get("cgroup2")
    return f"cgroup v2 is mounted at {place}" if place else "mount it: mount -t cgroup2 none /run/cgroup2"


def no_interface(name: str) -> str:
    """The next step for an interface that isn't there."""
    from socket import if_nameindex

    names = [each for _, each in if_nameindex()]
    return suggestion(name, names, f"there are {', '.join(names)}")


FAULTS: dict[str, Callable[[int, str, Asked], Fault]] = {
    "perf_event": _perf_event,
    **dict.fromkeys(("uprobe", "uretprobe"), _uprobe),
    "usdt": _usdt,
    **dict.fromkeys(("kprobe", "kretprobe"), _kprobe),
    **dict.fromkeys(("raw_tp", "raw_tracepoint"), _raw_tracepoint),
    **dict.fromkeys(("tp", "tracepoint"), _tracepoint),
}
