"""Writes a UAPI header as a BPF program gets it: whole without a vmlinux.h, its preprocessor lines alone behind one.

vmlinux.h has the kernel's types and enumerators already, so a header that follows it may declare none. What vmlinux.h
lacks are #defines: no BTF holds them. They can't clash, for a macro is no declaration.

A compile without the pinned vmlinux.h defines UAPI_WHOLE: a header of the project's own may have __VMLINUX_H__ as its
guard, and hold but a few of the kernel's types.
"""

import re

from ..compile.args import UAPI_WHOLE

# Without it <asm/types.h> of powerpc and mips64 makes __u64 a long: nowhere else, and not in the kernel, is it one.
# Source: arch/powerpc/include/uapi/asm/types.h.
_SANE = "__SANE_USERSPACE_TYPES__ 1"
# What the compiler of each arch defines by itself and these headers ask for: clang's BPF target defines none of it.
# Without it <asm/ptrace.h> and <asm/bitsperlong.h> would be those of a 32-bit machine, in silence.
# Sources: clang's lib/Basic/Targets/*.cpp; arch/*/include/uapi/asm of Linux 7.2.
PREDEFINED = {
    "x86_64": ("__x86_64__ 1",),
    "aarch64": ("__aarch64__ 1",),
    "arm": ("__arm__ 1", "__ARM_EABI__ 1"),
    "riscv64": ("__riscv 1", "__riscv_xlen 64"),
    "powerpc": ("__powerpc__ 1", "__powerpc64__ 1", _SANE),
    "s390x": ("__s390__ 1", "__s390x__ 1"),
    "loongarch64": ("__loongarch__ 1", "__loongarch_grlen 64"),
    "mips64": ("__mips__ 1", "__mips64 1", "_MIPS_SIM 3", "_MIPS_SZLONG 64", "__MIPSEB__ 1", _SANE),
    "mips64el": ("__mips__ 1", "__mips64 1", "_MIPS_SIM 3", "_MIPS_SZLONG 64", "__MIPSEL__ 1", _SANE),
    "ppc64": ("__powerpc__ 1", "__powerpc64__ 1", _SANE),
    "armeb": ("__arm__ 1", "__ARM_EABI__ 1", "__ARMEB__ 1"),
}
# clang has them for every target; without them <linux/swab.h> calls the CPU's own assembly, which no BPF program can
# hold. Source: include/uapi/linux/swab.h.
_BUILTIN = ("__HAVE_BUILTIN_BSWAP16__ 1", "__HAVE_BUILTIN_BSWAP32__ 1", "__HAVE_BUILTIN_BSWAP64__ 1")
# clangs before 20 lack them, and the <stdint.h> of a newer one makes INT32_C and its kin of them. BPF has one data
# model.
_STDINT = (
    *(
        f"__{sign}{width}_C(c) {'c##U' if (sign, width) == ('UINT', 32) else 'c'}"
        for sign in ("INT", "UINT")
        for width in (8, 16, 32)
    ),
    *(
        f"__{name}_C(c) c##{suffix}"
        for name, suffix in (("INT64", "L"), ("UINT64", "UL"), ("INTMAX", "L"), ("UINTMAX", "UL"))
    ),
)
_LACKING = {"linux/swab.h": _BUILTIN, "clang/stdint.h": _STDINT}
BEHIND_VMLINUX = f"#if defined(__VMLINUX_H__) && !defined({UAPI_WHOLE})\n"

_SPLICE = re.compile(r"\\[ \t]*\n")
_COMMENT = re.compile(r"""/\*.*?\*/|//[^\n]*|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'""", re.DOTALL)
_DIRECTIVE = re.compile(r"^[ \t]*#.*$", re.MULTILINE)


def installed(name: str, text: str, arch: str = "") -> str:
    """Returns a header's text as it is put into the build folder; `arch` is set for an asm/ header of one arch."""
    macros = [*PREDEFINED.get(arch, ()), *_LACKING.get(name, ())]
    head = "".join(f"#ifndef {re.split(r'[ (]', macro)[0]}\n#define {macro}\n#endif\n" for macro in macros)
    return f"{head}{BEHIND_VMLINUX}{constants(text)}#else\n#line 1\n{text.rstrip()}\n#endif\n"


def constants(text: str) -> str:
    """Returns the preprocessor lines of a header, without comments, each on one line: what it defines and includes."""
    spliced = _SPLICE.sub(" ", text.replace("\r\n", "\n"))
    clean = _COMMENT.sub(lambda found: " " if found[0].startswith("/") else found[0], spliced)
    return "".join(f"{' '.join(line.split())}\n" for line in _DIRECTIVE.findall(clean))
