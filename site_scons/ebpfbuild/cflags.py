"""Refuses clang's options that name or write a file, or that choose a target, in the flags that a project adds.

An option that reads or writes a file does so behind the graph's back: its input could change without a rebuild, its
output would be nobody's. Each is refused with the way to say it. Source of the options: `clang --help-hidden` (22) and
Options.td.
"""

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from .errors import FlagError


class _Refused(NamedTuple):
    """The options that a pattern matches whole, what is wrong with them, and what to write instead.

    The patterns are compiled when a flag is held against them: that takes 10 ms, and most projects give none that needs
    it.
    """

    options: str
    what: str
    fix: str


_READS = "reads a file that no input of the build is"
_WRITES = "writes beside the object, or something else than an object"
_TABLE = (
    _Refused(
        "@.*|--?config.*",
        "reads options from a file",
        "write them out, each in a string of its own",
    ),
    _Refused(
        "--?(include|imacros)(?!-)(=?.*)",
        "reads a file",
        'write #include "…" at the top of the source',
    ),
    _Refused(
        "--?include-(pch|barrier).*",
        _READS,
        "leave it out: each program is compiled from its sources",
    ),
    _Refused(
        "-(I|F|cxx-isystem|stdlib.*-isystem|i(system|quote|dirafter|framework|prefix|with).*).*|--include-.*|"
        "--embed-dir.*|--?fembed-dir.*",
        "adds a folder in which files are found",
        'say it to the build: include_dirs=["…"], or EBPF_CPPPATH for all programs',
    ),
    _Refused(
        "--?(isysroot|sysroot|resource|B|gcc-|prefix|working-directory|ccc|no-default-config).*|-(no)?stdlibinc.*",
        "makes clang look at the machine's own files",
        "leave it out: a compile sees pinned and project files only",
    ),
    _Refused(
        "--?(target|arch|march|mcpu|mtune)([= ].*)?|-m(arch|cpu|tune).*|-m(little|big)-endian|-m(32|64)|-b",
        "chooses a target",
        'take cpu = "…" in [clang] of toolchain.toml, and ARCH= for the byte order',
    ),
    _Refused(
        "-M.*|--(user-|write-)?(user-)?dependencies|-dependency-.*|--print-missing.*",
        "writes dependencies",
        "leave it out: the build keeps its own",
    ),
    _Refused(
        "-o.*|--output.*|-[cSE]|--?(emit|analyze|rewrite|extract|verify-pch|dump|print|precompile|assemble|compile|"
        "preprocess|save-|serialize-|gen-|dsym|index).*|-###|-d[A-Z].*|-fsyntax-only|-C|-CC|-P",
        _WRITES,
        "leave it out: the build makes objects",
    ),
    _Refused(
        "-x.*|--language.*|-ObjC.*",
        "says what a source is written in",
        "leave it out: programs are C",
    ),
    _Refused(
        "-f(save-optimization|optimization-record|dump|time-trace|time-report=|crash-diagnostics|proc-stat|"
        "stack-usage|test-coverage|profile-arcs|coverage|cs-profile|create-profile|temporal-profile|profile|"
        "debug-info-for-profiling|memory-profile|codegen-data|embed-|lto|thin|split|pch|output|module-output|"
        "record-(command|gcc)|basic-block-sections|basic-block-address|verify-intermediate|crash|use-cuid).*|"
        "-(gsplit-dwarf|g(no-)?record-|gmodules|pg|p$).*|--?(coverage|profile).*",
        _WRITES,
        "leave it out: an object is code, data and BTF",
    ),
    _Refused(
        "-f(plugin|pass-plugin|auto-profile|module|implicit-module|prebuilt|build-session|sanitize-.*list|"
        "sanitize-(black|ignore).*|xray-.*|randomize-layout-seed-file|ms-secure|ms-compat|api-notes|"
        "bounds-safety-bringup|experimental-sanitize-metadata-ignore|builtin-module|include-|diagnostics-.*file|"
        "builtin-headers|bootclasspath|classpath|extdirs|encoding|openmp-host|offload|openmp|hip|cuda|gpu|depfile|"
        "validate-|safe-buffer|warning-suppression|remap|system-module).*|-(ivfsoverlay|vfsoverlay|iapinotes|"
        "ibuiltin|load).*|--(system-header|warning-supp).*|-(filelist|multi-lib|module-|mzos-|meabi|mmlir|"
        "mthread-model|fexperimental-openacc).*",
        _READS,
        "leave it out; what a compile reads is what its sources include",
    ),
    _Refused(
        "-f(debug|file|macro|coverage|profile)-(prefix-map|compilation-dir).*|-fdebug-.*dir.*|-f(debug|file|"
        "macro)-prefix.*",
        "changes the paths that an object holds",
        "leave it out: they are relative to the project's root already",
    ),
    _Refused(
        "-W[apl],.*|-X(assembler|preprocessor|linker|analyzer|arch|openmp|offload|cuda|thinlto|clangas).*|"
        "-fno-integrated.*|-fintegrated-cc1|-no-integrated.*|--for-.*|-via-file-asm|-z|-T.*|-[lLu].*|-s|-static.*|"
        "-shared.*|-A.*",
        "hands options to another program",
        "write the option itself, or leave it out",
    ),
    _Refused(
        "-trigraphs|-traditional.*|-undef|-finput-charset.*|-fdollars.*",
        "changes how a source's directives are read",
        "leave it out",
    ),
)
# Flags as most projects give them, of which the table refuses none.
COMMON_FLAG = r"-O[0-3s]|-g|-W[a-z][a-z0-9-]*|-D[A-Z][A-Z0-9_]*(=[0-9]+)?"
_ALLOWED = (
    r"-D.+|-U.+|-W(\w.*)?|-R.*|-f.+|-g.*|-O(\d|s|z|g|fast)?|-std=.+|--std=.+|-m.+|-pedantic(-errors)?|"
    r"-ansi|-w|-v|-H|-pipe|-Q.*|-nostdinc"
)
_TAKES_NEXT = ("-D", "-U")
_LLVM = r"--?[\w-]+(=(-?\d+|true|false))?"
_LLVM_FILE = r"file|path|dir\b|directory|output|record|^-*load\b|load-pass|replay|stats-json|dump|view|dot|json|trace"
_CC1 = ("-disable-llvm-passes", "-disable-O0-optnone", "-disable-lifetime-markers")
_ASKING = r"has_include|has_embed|__has\b|__has_|##|%:%:|\b_*asm_*\b"


def check_cflags(flags: Iterable[str], where: str) -> None:
    """Refuses options that read or write files, or that the build gives itself. `where` names what holds them.

    Raises FlagError with what to write instead.
    """
    rest = iter(flags)
    for flag in rest:
        if flag in _TAKES_NEXT:
            _check_macro(flag, next(rest, ""), where)
        elif flag == "-mllvm":
            _check_llvm(next(rest, ""), where)
        elif flag == "-Xclang":
            _check_cc1(next(rest, ""), rest, where)
        else:
            _check_one(flag, where)


def _check_one(flag: str, where: str) -> None:
    if re.fullmatch(COMMON_FLAG, flag):
        return
    check_by_table(flag, where)


def check_by_table(flag: str, where: str) -> None:
    """Refuses one option as check_cflags does, with no short way for a plain one. Raises FlagError."""
    for refused in _TABLE:
        if re.fullmatch(refused.options, flag, re.DOTALL):
            raise _error(flag, refused.what, refused.fix, where)
    if flag.startswith(("-mllvm=", "--mllvm=")):
        _check_llvm(flag.partition("=")[2], where)
    elif not flag.startswith("-") or flag == "-":
        raise _error(
            flag, "is no option, so clang would take it for a file", "write each option in a string of its own", where
        )
    elif not re.fullmatch(_ALLOWED, flag, re.DOTALL):
        what = "is no option that this build knows to read and write no file"
        raise _error(flag, what, "write it in its usual form (-D, -U, -W, -f, -g, -O, -std), or leave it out", where)
    elif flag.startswith(("-D", "-U")):
        _check_macro(flag[:2], flag[2:], where)
    elif re.match("-[fm][^=]*=.*/", flag, re.DOTALL):
        raise _error(flag, _READS, "leave it out; what a compile reads is what its sources include", where)


def _check_macro(option: str, macro: str, where: str) -> None:
    if not macro:
        raise _error(option, "has no macro behind it", "write -DNAME or -DNAME=VALUE", where)
    if re.search(_ASKING, macro):
        what = "puts into a macro what the build has to read in the sources"
        raise _error(f"{option}{macro}", what, "#define it in a source or header", where)


def _check_llvm(option: str, where: str) -> None:
    if not re.fullmatch(_LLVM, option) or re.search(_LLVM_FILE, option.partition("=")[0]):
        what = "may name a file: LLVM's options are passed on if they are switches or numbers"
        raise _error(f"-mllvm {option}", what, "leave it out", where)


def _check_cc1(option: str, rest: Iterator[str], where: str) -> None:
    if option == "-target-feature":
        feature = (next(rest, ""), next(rest, ""))
        if feature[0] == "-Xclang" and re.fullmatch(r"[+-][\w-]+", feature[1]):
            return
        option = f"{option} {' '.join(feature)}"
    if option not in _CC1:
        fix = "write the driver's own option; -target-feature is passed on"
        raise _error(f"-Xclang {option}", "is an option of clang's inside, which may read or write a file", fix, where)


def _error(flag: str, what: str, fix: str, where: str) -> FlagError:
    return FlagError(f"{flag!r} {what}", where=where, fix=fix)
