"""The permissions and limits of this process, and the switches and configuration of this kernel."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from functools import lru_cache

from .versions import version_of

CAPABILITIES = {"CAP_BPF": 39, "CAP_PERFMON": 38, "CAP_NET_ADMIN": 12}  # linux/capability.h
CAP_SYS_ADMIN = 21
# is_net_admin_prog_type and is_perfmon_prog_type in the kernel's kernel/bpf/syscall.c; every type but cgroup_skb and
# socket_filter wants CAP_BPF as well, and these two only where unprivileged BPF is off.
NET_ADMIN_TYPES = """sched_cls sched_act xdp lwt_in lwt_out lwt_xmit lwt_seg6local sk_skb sk_msg flow_dissector
cgroup_device cgroup_sock cgroup_sock_addr cgroup_sockopt cgroup_sysctl sock_ops ext netfilter""".split()
PERFMON_TYPES = """kprobe tracepoint perf_event raw_tracepoint raw_tracepoint_writable tracing lsm struct_ops
ext""".split()
UNPRIVILEGED_TYPES = "socket_filter", "cgroup_skb"
NET_ADMIN_MAPS = "sockmap", "sockhash", "devmap", "devmap_hash", "xskmap"
UNPRIVILEGED_MAPS = """array percpu_array prog_array perf_event_array cgroup_array array_of_maps hash percpu_hash
hash_of_maps ringbuf user_ringbuf cgroup_storage percpu_cgroup_storage""".split()
# The CONFIG_ options that attaching needs, by the section's first word.
OPTIONS = {
    **dict.fromkeys(("kprobe", "kretprobe", "ksyscall", "kretsyscall"), ("KPROBES", "KPROBE_EVENTS", "BPF_EVENTS")),
    **dict.fromkeys(("kprobe.multi", "kretprobe.multi", "kprobe.session"), ("KPROBES", "FPROBE", "BPF_EVENTS")),
    **dict.fromkeys(("uprobe", "uretprobe", "uprobe.multi", "usdt"), ("UPROBES", "UPROBE_EVENTS", "BPF_EVENTS")),
    **dict.fromkeys(
        ("fentry", "fexit", "fmod_ret", "fsession"), ("BPF_JIT", "FUNCTION_TRACER", "DYNAMIC_FTRACE_WITH_DIRECT_CALLS")
    ),
    **dict.fromkeys(("lsm", "lsm_cgroup"), ("BPF_LSM", "BPF_JIT", "DYNAMIC_FTRACE_WITH_DIRECT_CALLS")),
    **dict.fromkeys(("tp", "tracepoint"), ("TRACEPOINTS", "BPF_EVENTS")),
    **dict.fromkeys(("cgroup", "cgroup_skb", "sockops"), ("CGROUP_BPF",)),
    "tcx": ("NET_XGRESS",),
    "netkit": ("NETKIT",),
    "netfilter": ("NETFILTER_BPF_LINK",),
    "sk_msg": ("NET_SOCK_MSG",),
    "sk_skb": ("BPF_STREAM_PARSER",),
    "struct_ops": ("BPF_JIT", "DEBUG_INFO_BTF"),
    "lirc_mode2": ("BPF_LIRC_MODE2",),
}
# The options that any use of BPF may need.
COMMON_OPTIONS = """BPF BPF_SYSCALL BPF_JIT BPF_JIT_ALWAYS_ON BPF_UNPRIV_DEFAULT_OFF DEBUG_INFO_BTF
DEBUG_INFO_BTF_MODULES IKCONFIG_PROC SECURITY_LOCKDOWN_LSM CGROUPS NET_CLS_BPF NET_ACT_BPF NET_SCH_INGRESS XDP_SOCKETS
FUNCTION_ERROR_INJECTION FTRACE_SYSCALLS HAVE_DYNAMIC_FTRACE_WITH_DIRECT_CALLS""".split()


def kernel_release() -> str:
    """Returns the running kernel's release, as `uname -r` prints it."""
    return os.uname().release


def kernel_is_before(version: str) -> bool:
    """Returns True if the running kernel is older than a version such as `5.11`."""
    return version_of(kernel_release()) < version_of(version)


def _status_field(field: str) -> str:
    with open("/proc/self/status", encoding="utf-8", errors="replace") as file:
        return next((line.split()[1] for line in file if line.startswith(field + ":")), "0")


def capabilities() -> tuple[str, ...]:
    """Returns the names of the effective capabilities of this process that BPF asks for (capabilities(7))."""
    held = int(_status_field("CapEff"), 16)
    names = {**CAPABILITIES, "CAP_SYS_ADMIN": CAP_SYS_ADMIN}
    return tuple(name for name, bit in names.items() if held >> bit & 1)


def missing_capabilities(wanted: Iterable[str] | None = None) -> tuple[str, ...]:
    """Returns those of the wanted capabilities that this process lacks (by default: of all that BPF asks for).

    Empty if it has CAP_SYS_ADMIN, which implies them all.
    """
    held, wanted = capabilities(), CAPABILITIES if wanted is None else tuple(wanted)
    names = (*CAPABILITIES, "CAP_SYS_ADMIN")
    return () if "CAP_SYS_ADMIN" in held else tuple(name for name in names if name in wanted and name not in held)


def program_capabilities(types: Iterable[str]) -> tuple[str, ...]:
    """Returns the capabilities that programs of these types (`xdp`, `kprobe` …) need, with a map or two."""
    wanted = set()
    for name in types:
        if name not in UNPRIVILEGED_TYPES or unprivileged_bpf_disabled():
            wanted.add("CAP_BPF")
        if name in PERFMON_TYPES:
            wanted.add("CAP_PERFMON")
        if name in NET_ADMIN_TYPES:
            wanted.add("CAP_NET_ADMIN")
    return tuple(name for name in CAPABILITIES if name in wanted)


def map_capabilities(type: str) -> tuple[str, ...]:
    """Returns the capabilities that a type of map needs, by map_create in the kernel's kernel/bpf/syscall.c."""
    if type in NET_ADMIN_MAPS:
        return ("CAP_NET_ADMIN",)
    return () if type in UNPRIVILEGED_MAPS and not unprivileged_bpf_disabled() else ("CAP_BPF",)


def unprivileged_bpf_disabled() -> int | None:
    """Reads kernel.unprivileged_bpf_disabled: 0 lets users load simple programs, 1 and 2 don't; None if unknown."""
    text = read_text("/proc/sys/kernel/unprivileged_bpf_disabled")
    return int(text) if text.isdigit() else None


def lockdown() -> str:
    """Reads the lockdown mode: `none`, `integrity` or `confidentiality`; empty where the kernel has no lockdown."""
    found = re.search(r"\[(\w+)\]", read_text("/sys/kernel/security/lockdown"))
    return found[1] if found else ""


def security_modules() -> str:
    """Reads the list of security modules, such as `capability,landlock,bpf`; empty where the kernel doesn't tell."""
    return read_text("/sys/kernel/security/lsm")


def without_lsm() -> str:
    """Returns the security modules where BPF is none of them: such a kernel takes LSM programs and calls none."""
    modules = security_modules()
    return "" if "bpf" in modules.split(",") else modules


def jit() -> int | None:
    """Reads net.core.bpf_jit_enable: 0 off, 1 on, 2 on and traced; None if unknown, as to other users than root."""
    text = read_text("/proc/sys/net/core/bpf_jit_enable")
    return int(text) if text.isdigit() else None


def mounts(kinds: Iterable[str]) -> dict[str, str]:
    """Returns the first mount point of each of these kinds of file systems, by kind; those not mounted are left out."""
    found = mount_points()
    return {kind: path for kind in kinds for path, mounted in reversed(found) if mounted == kind}


def mount_points() -> list[tuple[str, str]]:
    """Returns where file systems are mounted, and their kinds, in the order of their mounts.

    The kernel writes four characters as octal numbers, such as a space as \\040, and all other bytes as they are.
    """
    try:
        with open("/proc/thread-self/mounts", "rb") as file:
            rows = [line.split(b" ") for line in file]
    except OSError:
        return []
    return [(os.fsdecode(_unescaped(row[1])), row[2].decode("utf-8", "replace")) for row in rows if len(row) > 2]


def _unescaped(path: bytes) -> bytes:
    return re.sub(rb"\\([0-7]{3})", lambda octal: bytes([int(octal[1], 8)]), path)


def memlock_limit() -> int | None:
    """Reads the soft RLIMIT_MEMLOCK in bytes; None for unlimited."""
    found = re.search(r"^Max locked memory\s+(\d+)", read_text("/proc/self/limits"), re.MULTILINE)
    return int(found[1]) if found else None


def in_user_namespace() -> bool:
    """Returns True if this process is in a user namespace of its own, whose capabilities don't count for BPF."""
    return read_text("/proc/self/uid_map").split() not in (["0", "0", "4294967295"], [])


def has_seccomp_filter() -> bool:
    """Returns True if a seccomp filter, such as a container's, checks this process's system calls."""
    return _status_field("Seccomp") == "2"


def missing_options(section: str) -> tuple[str, ...]:
    """Returns the CONFIG_ names that a section needs to attach and this kernel was built without; none if unknown."""
    config = kernel_config()
    return tuple(f"CONFIG_{name}" for name in _options(section) if config and name not in config)


def has_all_options(section: str) -> bool:
    """Returns True if this kernel tells its configuration, and that has all that a section needs to attach."""
    return bool(kernel_config() and _options(section)) and not missing_options(section)


def _options(section: str) -> tuple[str, ...]:
    head = section.lstrip("?").split("/")[0]
    return OPTIONS.get(head) or OPTIONS.get(re.sub(r"\.s$|\.multi.*$", "", head), ())


@lru_cache(maxsize=1)
def kernel_config() -> frozenset[str]:
    """Reads the options that this kernel was built with, y or m, without CONFIG_; empty where it doesn't tell."""
    for path in ("/proc/config.gz", f"/boot/config-{kernel_release()}"):
        try:
            with open(path, "rb") as file:
                data = file.read()
        except OSError:
            continue
        if path.endswith(".gz"):
            import gzip

            data = gzip.decompress(data)
        return frozenset(re.findall(r"^CONFIG_(\w+)=[ym]$", data.decode(), re.MULTILINE))
    return frozenset()


def kernel_lines(path: str, name: Callable[[str], str]) -> frozenset[str]:
    """Returns what `name` makes of each line of a file of the kernel's; nothing where it can't be read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return frozenset(filter(None, (name(line.rstrip("\n")) for line in file)))
    except OSError:
        return frozenset()


def read_text(path: str) -> str:
    """Reads a small file of the kernel's, without the end of its line; empty where it can't be read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return ""


def denial_fix() -> str:
    """Returns the next step for a process with all capabilities that is denied BPF (EPERM); empty if no cause shows."""
    if in_user_namespace():
        return (
            "run it outside its user namespace, whose capabilities the kernel doesn't count for BPF, or give it a BPF "
            "file system that delegates: open(token=…) (Linux 6.9, libbpf 1.5)"
        )
    if memlock_limit() is not None and kernel_is_before("5.11"):
        return memlock_fix()
    if lockdown() == "confidentiality":
        return "boot without lockdown=confidentiality, in which BPF may not read the kernel's memory"
    if has_seccomp_filter():
        return "run it without its seccomp filter (a container's?), which may deny bpf(2) or perf_event_open(2)"
    return ""


def memlock_fix() -> str:
    """Returns how to raise RLIMIT_MEMLOCK, which kernels before 5.11 count maps and programs against."""
    limit = memlock_limit()
    return (
        f"raise RLIMIT_MEMLOCK, {(limit or 0) >> 10} KiB now: `ulimit -l unlimited` or LimitMEMLOCK=infinity "
        f"(kernels before 5.11 count BPF memory against it, this is {kernel_release()})"
    )
