"""Explains a refused attach by inspecting its target: binary, function, tracepoint, perf event, cgroup or interface.

`target_fault` takes the errno, the program's section and the request, which may have `binary`, `function`, `functions`,
`offset`, `provider`, `name`, `category`, `pid`, `cgroup`, `namespace`, `interface`, `mode`, `link`, `event`, `cpu`,
`frequency`. What a request leaves out, the section names.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from typing import Any, Optional

from ..btf.kernel import kernel_names, kernel_types
from ..btf.path import KERNEL_BTF
from ..btf.reader import FUNC, TYPEDEF
from ..errors import Explanation
from ..files import open_file
from ..kernel.host import missing_options, read_text
from ..kernel.perf_event import PERF_TYPE_HARDWARE, PERF_TYPE_HW_CACHE, PERF_TYPE_RAW, online_cpus
from ..kernel.tracefs import NO_TRACEFS, TRACING
from ..suggest import suggestion
from ..symbols.binary import Binary, find_libraries, installed_names, is_library
from ..symbols.probe_file import probe_file
from ..symbols.process import live_thread
from .cgroup_target import cgroups, excluded
from .function_target import function_fault, thumb_fault

HARDWARE_TYPES = (PERF_TYPE_HARDWARE, PERF_TYPE_HW_CACHE, PERF_TYPE_RAW)
Request = Mapping[str, Any]
Fault = Optional[Explanation]  # None if the fault isn't known
LIST_TRACEPOINTS = "/sys/kernel/tracing/available_events lists those that it has"
NO_FUNCTION = (errno.ENOENT, 4001)  # 4001: libbpf's LIBBPF_ERRNO__FORMAT, for a function that a program only calls


def target_fault(number: int, section: str, request: Request) -> Fault:
    """Explains the fault of the target; returns None where the target has none, or it can't be seen."""
    head, _, target = section.removeprefix("?").partition("/")
    kind = head.removesuffix(".s").split(".")[0]
    found = FAULT_FINDERS.get(kind, _descriptor_fault)(number, target, request)
    if not found and number == errno.ESRCH and request.get("pid", 0) > 0:
        return _process_fault(request["pid"])
    return found


def _process_fault(pid: int) -> Explanation:
    """Says why the kernel finds no process by an id."""
    if live_thread(pid) != pid:
        what = f"the first thread of process {pid} has ended, and the kernel takes no such probe of its other threads"
        return Explanation(what, "attach without pid, and compare bpf_get_current_pid_tgid() >> 32 in the program")
    owner = re.search(r"^Tgid:\t(\d+)$", read_text(f"/proc/{pid}/status"), re.MULTILINE)
    if owner and int(owner[1]) != pid:
        return Explanation(f"{pid} is a thread of process {owner[1]}", f"give the process's id: pid={owner[1]}")
    return Explanation(f"there is no process {pid}", "give the id of one that runs")


def _uprobe_fault(number: int, target: str, request: Request) -> Fault:
    binary, function = os.fsdecode(request.get("binary", "")), request.get("function", "")
    offset = request.get("offset", 0)

    def check(path: str, file: Binary) -> Fault:
        """Says what is wrong with the offset or the function, the file being there."""
        if number == errno.EINVAL and offset >= file.size:
            return Explanation(
                f"the offset {offset:#x} is beyond the end of {path}, {file.size:#x}", "give one inside of it"
            )
        if number == errno.EINVAL:
            return thumb_fault(path, file, function)
        return function_fault(path, file, function) if number in NO_FUNCTION else None

    return _binary_fault(binary, request.get("pid", -1), check)


def _usdt_fault(number: int, target: str, request: Request) -> Fault:
    provider, _, name = target.rpartition(":")
    binary, _, provider = provider.rpartition(":")
    binary = os.fsdecode(request.get("binary") or binary)
    if number == errno.E2BIG:
        what = "the probe is at more places, or in more forms, than the object has room for"
        return Explanation(what, "write #define BPF_USDT_MAX_SPEC_CNT 1024 before it includes usdt.bpf.h")
    probe = f"{request.get('provider') or provider}:{request.get('name') or name}"
    return _binary_fault(
        binary,
        request.get("pid", -1),
        lambda path, file: _static_probe_fault(path, file, probe) if number == errno.ENOENT else None,
    )


def _binary_fault(binary: str, pid: int, check: Callable[[str, Binary], Fault]) -> Fault:
    """Explains the fault of a binary, as the process sees it, or the one that `check` finds inside it."""
    name = binary
    try:
        with probe_file(binary, pid) as file:
            name = file.name
            if not os.path.exists(file.path):
                return _missing_binary(binary)
            if os.path.isdir(file.path):
                return Explanation(f"{name} is a folder", "name a program or a library")
            with open_file(file.path) as opened:
                return check(name, Binary(opened))
    except ValueError as error:
        return Explanation(f"{name} is no program or library ({error})", "give the path of an ELF file")
    except OSError:
        return None


def _missing_binary(binary: str) -> Explanation:
    if "/" in binary:
        return Explanation(f"there is no file {binary}", "give the path of a program or a library")
    kind = "library" if is_library(binary) else "program"
    what = f"there is no {kind} {binary} where libbpf looks for it"
    named = find_libraries(binary)
    if named:
        return Explanation(what, f'libraries go by their file\'s name: "{named[0]}"')
    return Explanation(what, suggestion(binary, installed_names(binary), "give its path"))


def _static_probe_fault(path: str, file: Binary, probe: str) -> Fault:
    probes = file.probes()
    if not probes:
        return Explanation(
            f"{path} has no static probes (.note.stapsdt)", "take a build with USDT, or a uprobe at a function"
        )
    if probe in probes:
        return None
    fix = suggestion(probe, probes, f"`readelf -n {path}` lists them")
    return Explanation(f"{path} has no static probe {probe}", fix)


def _kprobe_fault(number: int, target: str, request: Request) -> Fault:
    from .kernel_function import kernel_function_fault

    listed = request.get("functions", ())
    named, behind, _ = target.partition("+")
    function, offset = request.get("function"), request.get("offset")
    at_entry = "functions" not in request and not (offset if function else behind)
    function = function or ("" if listed else named)
    return None if missing_options("kprobe") else kernel_function_fault(number, function, listed, at_entry)


def _ksyscall_fault(number: int, target: str, request: Request) -> Fault:
    from .kernel_function import system_call_fault

    call = request.get("syscall") or target
    return system_call_fault(call) if number == errno.ENOENT and not missing_options("ksyscall") else None


def _tracing_fault(number: int, target: str, request: Request) -> Fault:
    """Explains a refused fentry.multi or its like: libbpf finds no function, or the kernel refuses one of them."""
    module, _, pattern = request.get("function", "").rpartition(":")
    if module and not os.path.exists(f"/sys/kernel/btf/{module}"):
        return Explanation(f"this kernel has no module {module} loaded", "/sys/kernel/btf has a file for each one")
    if pattern and number == errno.ENOENT:
        what = f"the kernel can't trace all functions that match {pattern}"
        return Explanation(what, "list some of available_filter_functions of tracefs: functions=[…]")
    names = kernel_names(kernel_types(KERNEL_BTF), FUNC) if pattern and not module and number == errno.EINVAL else ()
    if not names or any(fnmatchcase(each, pattern) for each in names):
        return None
    what = f"no function of this kernel's BTF matches {pattern}"
    return Explanation(what, "`bpftool btf dump file /sys/kernel/btf/vmlinux` lists those that it has")


def _raw_tracepoint_fault(number: int, target: str, request: Request) -> Fault:
    name = request.get("name") or target
    if number == errno.EINVAL and not request.get("cookie"):  # which a kernel before 6.10 refuses with that, too
        return _argument_fault(name)
    names = kernel_names(kernel_types(KERNEL_BTF), TYPEDEF) if number == errno.ENOENT else ()
    if not names or name in names:
        return None
    return Explanation(f"this kernel has no raw tracepoint {name}", suggestion(name, names, LIST_TRACEPOINTS))


def _argument_fault(name: str) -> Fault:
    """Explains a program that reads arguments beyond a raw tracepoint's own (__bpf_probe_register, bpf_trace.c)."""
    btf = kernel_types(KERNEL_BTF)
    declared = btf.named(f"btf_trace_{name}") if btf else ()
    if not btf or not declared:
        return None
    prototype = btf[btf[declared[0].word].word]  # of a pointer to a function, whose first argument is its own data
    count = len(btf.parameters(prototype)) - 1
    what = f"the program reads beyond the arguments of the raw tracepoint {name}, which has {count}"
    return Explanation(what, "read those that its TP_PROTO has, ctx[0] being the first")


def _tracepoint_fault(number: int, target: str, request: Request) -> Fault:
    if number not in (errno.ENOENT, errno.EACCES):
        return None
    folder = next(filter(os.path.isdir, TRACING), None)
    if folder is None:
        return NO_TRACEFS
    category, _, name = target.partition("/")
    category, name = request.get("category") or category, request.get("name") or name
    if number == errno.EACCES:
        return _record_fault(category, name, f"{folder}/{category}/{name}/format")
    siblings = _folder_entries(f"{folder}/{category}")
    if name in siblings:
        return None
    categories = [each for each in _folder_entries(folder) if os.path.isdir(f"{folder}/{each}/{name}")]
    if categories:
        return Explanation(f"this kernel has no tracepoint {category}/{name}", f"it is {categories[0]}/{name}")
    among = [f"{category}/{each}" for each in siblings] or _folder_entries(folder)
    fix = suggestion(f"{category}/{name}" if siblings else category, among, f"see {folder}")
    return Explanation(f"this kernel has no tracepoint {category}/{name}", fix)


def _record_fault(category: str, name: str, path: str) -> Fault:
    """Explains a program that reads beyond a tracepoint's record (perf_event_attach_bpf_prog's caller in core.c)."""
    places = re.findall(r"\toffset:(\d+);\tsize:(\d+);", read_text(path) or "")
    if not places:
        return None
    size = max(int(offset) + int(length) for offset, length in places)
    what = f"the program reads beyond the {size} bytes that the tracepoint {category}/{name} gives it"
    return Explanation(what, f"read the fields that {path} lists, by the struct of that very tracepoint")


def _folder_entries(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _perf_event_fault(number: int, target: str, request: Request) -> Fault:
    """Explains a refused perf event (perf_event_open(2))."""
    if "event" not in request:  # attached by its section, which names no event
        return None
    (kind, config), cpu = request["event"], request["cpu"]
    maximum = int(read_text("/proc/sys/kernel/perf_event_max_sample_rate") or 0)
    if number == errno.EINVAL and 0 < maximum < request["frequency"]:
        what = f"a frequency of {request['frequency']} is above kernel.perf_event_max_sample_rate, {maximum}"
        return Explanation(what, f"give at most {maximum}, or raise it: sysctl kernel.perf_event_max_sample_rate=N")
    if number in (errno.EINVAL, errno.ENODEV) and cpu >= 0 and cpu not in online_cpus():
        return Explanation(f"there is no CPU {cpu} online", f"those are online: {', '.join(map(str, online_cpus()))}")
    if number in (errno.ENOENT, errno.EOPNOTSUPP, errno.EINVAL, errno.ENODEV):
        if kind in HARDWARE_TYPES:
            return Explanation(
                "this machine has no such hardware counter (is it a virtual one?)", 'sample by "cpu-clock"'
            )
        if number == errno.ENOENT:
            return Explanation(
                f"this kernel has no perf event of type {kind}, config {config:#x}", "see linux/perf_event.h"
            )
    return None


def _descriptor_fault(number: int, target: str, request: Request) -> Fault:
    """Explains the fault of the requested cgroup, namespace or interface."""
    if number == errno.EBADF and "cgroup" in request:
        return Explanation(f"{_target_text(request['cgroup'])} is no cgroup v2 folder", cgroups())
    if number == errno.EPERM and "cgroup" in request:
        return excluded(request["cgroup"], request.get("attach_type", 0))
    if number == errno.EINVAL and "namespace" in request:
        return Explanation(f"{_target_text(request['namespace'])} is no network namespace", NAMESPACES)
    if "interface" in request:
        from .interface_target import missing_interface

        return missing_interface(number, request["interface"])
    return None


def _xdp_fault(number: int, target: str, request: Request) -> Fault:
    from .interface_target import missing_interface, xdp_fault

    if "interface" not in request:
        return None
    found = missing_interface(number, request["interface"])
    return found or xdp_fault(number, target, request["interface"], request.get("mode", ""))


def _tc_fault(number: int, target: str, request: Request) -> Fault:
    if number == errno.EEXIST and request.get("link"):
        return Explanation("this program is at that place already, which takes none twice", "detach it there first")
    if number == errno.EEXIST and "interface" in request:
        what = "a filter with that priority and handle is there already"
        return Explanation(what, "take its place with replace=True, or give another handle")
    return _descriptor_fault(number, target, request)


NAMESPACES = "give the path of one, such as /proc/self/ns/net or /run/netns/NAME"


def _target_text(target: Any) -> str:
    return f"the descriptor {target}" if isinstance(target, int) else os.fspath(target)


FAULT_FINDERS: dict[str, Callable[[int, str, Request], Fault]] = {
    "perf_event": _perf_event_fault,
    **dict.fromkeys(("uprobe", "uretprobe"), _uprobe_fault),
    "usdt": _usdt_fault,
    "xdp": _xdp_fault,
    **dict.fromkeys(("tc", "tcx", "classifier", "action"), _tc_fault),
    **dict.fromkeys(("kprobe", "kretprobe"), _kprobe_fault),
    **dict.fromkeys(("ksyscall", "kretsyscall"), _ksyscall_fault),
    **dict.fromkeys(("fentry", "fexit", "fsession"), _tracing_fault),
    **dict.fromkeys(("raw_tp", "raw_tracepoint"), _raw_tracepoint_fault),
    **dict.fromkeys(("tp", "tracepoint"), _tracepoint_fault),
}
