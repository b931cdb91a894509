"""Explains compile errors of the kernel's UAPI headers: one isn't there, isn't included, or clashes with vmlinux.h."""

import re
from collections.abc import Iterable

from .macros import VALUES

# By the beginning of a #define's name, the header that has it. Source: include/uapi/linux of Linux 7.2.
_HOMES = (
    ("ETH_", "linux/if_ether.h"),
    ("TC_ACT_", "linux/pkt_cls.h"),
    ("INADDR_", "linux/in.h"),
    ("IPPROTO_", "linux/in.h"),
    ("ICMPV6_", "linux/icmpv6.h"),
    ("ICMP_", "linux/icmp.h"),
    ("SIG", "linux/signal.h"),
    ("CLONE_", "linux/sched.h"),
    ("SCHED_", "linux/sched.h"),
    ("S_I", "linux/stat.h"),
    ("SO_", "asm/socket.h"),
    ("SOL_SOCKET", "asm/socket.h"),
    ("O_", "linux/fcntl.h"),
    ("AT_", "linux/fcntl.h"),
    ("PROT_", "linux/mman.h"),
    ("MAP_", "linux/mman.h"),
    ("IFNAMSIZ", "linux/if.h"),
    ("NETLINK_", "linux/netlink.h"),
    ("NLM_", "linux/netlink.h"),
    ("CAP_", "linux/capability.h"),
    ("PATH_MAX", "linux/limits.h"),
    ("NAME_MAX", "linux/limits.h"),
)
# The enumerators of <linux/bpf.h>, by their beginnings. Source: include/uapi/linux/bpf.h of Linux 7.2.
_BPF_ENUM = re.compile(
    r"XDP_(?:ABORTED|DROP|PASS|TX|REDIRECT)|BPF_(?:OK|DROP|REDIRECT|ANY|NOEXIST|EXIST|(?:MAP|PROG|ATTACH|LINK)_TYPE_\w+|"
    r"(?:ADJ|CSUM|F|FIB|FLOW|LWT|RB|SK|SKB|SOCK|TCP)_\w+)"
)
_ERRNO = re.compile(
    "E(?:PERM|NOENT|SRCH|INTR|IO|NXIO|2BIG|NOEXEC|BADF|CHILD|AGAIN|NOMEM|ACCES|FAULT|BUSY|EXIST|XDEV|NODEV|NOTDIR|ISDIR|INVAL|"
    "NFILE|MFILE|NOTTY|FBIG|NOSPC|SPIPE|ROFS|MLINK|PIPE|DOM|RANGE|NAMETOOLONG|NOSYS|LOOP|PROTO|OVERFLOW|MSGSIZE|OPNOTSUPP|"
    "AFNOSUPPORT|ADDRINUSE|NETUNREACH|CONN(?:REFUSED|RESET|ABORTED)|ISCONN|NOTCONN|TIMEDOUT|HOSTUNREACH|ALREADY|INPROGRESS)"
)
_C = {
    "NULL": "stddef.h",
    "offsetof": "stddef.h",
    "size_t": "stddef.h",
    "bool": "stdbool.h",
    "true": "stdbool.h",
    "false": "stdbool.h",
}
_STDINT = re.compile(r"u?int(?:_least|_fast)?(?:8|16|32|64)_t|u?intptr_t|U?INT(?:8|16|32|64)_(?:MAX|MIN|C)")
_KERNEL = re.compile(r"[us](?:8|16|32|64)|[bl]e(?:16|32|64)")  # what it calls so itself; its UAPI says __u32
_UAPI_TYPE = re.compile(r"__(?:[us](?:8|16|32|64)|[bl]e(?:16|32|64)|sum16|wsum)")
# Of the C library's headers that have no stand-in (see uapi/libc.py) those that the kernel has its own for.
_LIBC = {
    "netinet/ip6.h": "<linux/ipv6.h>",
    "netinet/icmp6.h": "<linux/icmpv6.h>",
    "netinet/ip_icmp.h": "<linux/icmp.h>",
    "netinet/ether.h": "<linux/if_ether.h>",
    "sys/mman.h": "<linux/mman.h>",
    "sys/un.h": "<linux/un.h>",
}
_LIBC_ALONE = frozenset(
    (
        "argp.h byteswap.h ctype.h dirent.h dlfcn.h elf.h err.h execinfo.h fenv.h getopt.h glob.h grp.h "
        "libgen.h locale.h math.h netdb.h poll.h pthread.h pwd.h regex.h search.h semaphore.h setjmp.h "
        "stdio_ext.h strings.h syslog.h termios.h threads.h utime.h wchar.h"
    ).split()
)
# libbpf's headers for BPF code and for user space. Source: src/Makefile of libbpf 1.5, SRC_UAPI and HEADERS.
_BPF_SIDE = ("bpf_core_read.h", "bpf_endian.h", "bpf_helper_defs.h", "bpf_helpers.h", "bpf_tracing.h", "usdt.bpf.h")
_USER_SIDE = ("bpf.h", "btf.h", "libbpf.h", "libbpf_common.h", "libbpf_legacy.h", "libbpf_version.h", "skel_internal.h")
_SELFTESTS = (
    "bpf_arena_common.h",
    "bpf_experimental.h",
    "bpf_kfuncs.h",
    "bpf_misc.h",
    "bpf_tracing_net.h",
    "bpf_util.h",
)
# A UAPI header as the build or a project of its own has it.
_UAPI_FILE = r"(?:\S*/)?(?:linux|asm|asm-generic|clang)/[\w./-]+\.h"
_CLASH = re.compile(rf"^({_UAPI_FILE}):\d+:\d+: (?:error: (?:typedef )?redefinition|note: previous definition)")
_AGAIN = re.compile(r"^(\S+?):(\d+):\d+: error: (?:typedef )?redefinition")


def home_of(name: str) -> str:
    """Returns the UAPI header that has a #define, as `linux/errno.h`, or nothing."""
    if _ERRNO.fullmatch(name):
        return "linux/errno.h"
    return next((home for start, home in _HOMES if name.startswith(start)), "")


def missing_file(name: str) -> str:
    """Says what to write instead of a header that no folder holds, or nothing."""
    if line := _missing_of_libbpf(name):
        return line
    if instead := _LIBC.get(name):
        return f"<{name}> is the C library's, and BPF programs have none: take {instead}"
    if re.match(r"(?:sys|net|netinet|arpa|bits|gnu)/", name):
        return f"<{name}> is the C library's, and BPF programs have none: take the kernel's own, <linux/…>"
    if name in _LIBC_ALONE:
        return f"<{name}> is the C library's, and BPF programs have none: leave it out"
    if name == "iproute2/bpf_elf.h":
        copy = "include_dirs= searches a copy in the project"
        return f"<{name}> is iproute2's: {copy}; maps as it describes them load with iproute2 alone"
    if name.startswith(("linux/", "asm/", "asm-generic/", "uapi/")):
        return (
            f"no UAPI header in sight is called <{name}>: include vmlinux.h for types of the kernel's inside, "
            "or write uapi=True, without which those that generated files or macros include aren't seen"
        )
    if name == "vmlinux.h":
        return "the program's sources don't name vmlinux.h in words, so it got none: include it in the source itself"
    return ""


def _missing_of_libbpf(name: str) -> str:
    """Says the same of a header of libbpf's, or of one that is mistaken for its own."""
    folder, _, file = name.rpartition("/")
    if file in _BPF_SIDE and folder != "bpf":
        return f"libbpf's headers lie in bpf/: write #include <bpf/{file}>"
    if file in _BPF_SIDE:
        return f"<{name}> is not among the files that [libbpf] in toolchain.toml pins: add it to files"
    if file in _USER_SIDE and folder in ("bpf", ""):
        what = f"<bpf/{file}> is libbpf's for programs in user space"
        return f"{what}: BPF code has <bpf/bpf_helpers.h> and its kin, so leave it out"
    if file in _SELFTESTS and folder in ("bpf", ""):
        what = f"{file} is of the kernel's selftests (tools/testing/selftests/bpf), no part of libbpf"
        return f"{what}: copy it into the project"
    if folder == "bpf":
        sides = ", ".join(_BPF_SIDE)
        what = f"libbpf has no <{name}>: its headers for BPF code are {sides}"
        return f"{what}; a header of your own is searched in include_dirs="
    return ""


def clash(diagnostics: Iterable[str]) -> str:
    """Returns one line for all redefinitions by a UAPI header and vmlinux.h; empty where there are none."""
    told = list(diagnostics)
    if not any(_AGAIN.match(text) for text in told):
        return ""
    file = next((found[1] for text in told if (found := _CLASH.match(text))), "")
    if not file:
        return ""
    return f"{file} and vmlinux.h declare the same types: {VMLINUX_FIRST}"


VMLINUX_FIRST = (
    "include vmlinux.h first, and then only #defines come of the UAPI headers behind it; a copy of your own has to go"
)


def plain_type(name: str) -> str:
    """Says what to include for a type that a program without vmlinux.h misses."""
    word = name.split()[-1]
    if _UAPI_TYPE.fullmatch(word):
        what = f"{word} is declared in <linux/types.h>"
        return f"{what}: include it, or <linux/bpf.h>, before the first use, libbpf's headers among it"
    if _KERNEL.fullmatch(word):
        return (
            f"{word} is a name of the kernel's inside: write __{word} and include <linux/types.h>, or include vmlinux.h"
        )
    if home := _c_home(word):
        return home
    lacks = f"defines {name}" if " " in name else f"declares {word}"
    return f"no header that the program includes {lacks}: include the one that does, or vmlinux.h instead of them all"


def plain_name(name: str) -> str:
    """Says what to include for a name that a program without vmlinux.h misses, or nothing."""
    if home := _c_home(name):
        return home
    if home := "linux/bpf.h" if _BPF_ENUM.fullmatch(name) else home_of(name):
        return f"{name} is defined in <{home}>: include it"
    if name in VALUES:
        return f"no UAPI header has {name}: #define {name} {VALUES[name]}"
    return plain_type(name) if name.endswith("_t") or _KERNEL.fullmatch(name) or _UAPI_TYPE.fullmatch(name) else ""


def _c_home(name: str) -> str:
    home = "stdint.h" if _STDINT.fullmatch(name) else _C.get(name, "")
    c23 = ", or write -std=gnu2x in cflags, as a C of 2023 has it as a word" if home == "stdbool.h" else ""
    return f"{name} is declared in <{home}>: include it{c23}" if home else ""
