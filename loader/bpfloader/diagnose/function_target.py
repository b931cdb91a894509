"""Explains why a binary has no function of a name, or several: versions, C++ names, indirect and imported functions."""

from __future__ import annotations

import contextlib
from typing import Optional

from ..errors import Explanation
from ..suggest import MANY_NAMES, SHOWN_NAMES, suggestion
from ..symbols.binary import Binary, is_library
from ..symbols.demangle import demangle
from ..symbols.functions import Ambiguous, find_functions, implementations, versions_of
from ..symbols.rust import demangle_rust

Fault = Optional[Explanation]  # None if the fault isn't known
LIST_FUNCTIONS = "`nm -D` lists the functions of a library, `nm` those of a program"
MAX_SHOWN = 6  # functions of one name
EM_ARM = 40  # elf.h


def function_fault(path: str, file: Binary, function: str) -> Fault:
    """Explains the fault of a function's name in a file called `path`. Raises ValueError, OSError."""
    if not function:
        return None
    try:
        found = find_functions(file, function)
    except Ambiguous as several:
        named = ", ".join(map(str, several.places[:MAX_SHOWN]))
        return Explanation(f"{path} has several functions {function}: {named}", "give the offset of one instead")
    if found and found[0].indirect:
        return _indirect_fault(path, file, function)
    if found:
        return None
    versions = versions_of(file, function) if "@" in function else []
    if versions:
        named = ", ".join(map(str, versions[:MAX_SHOWN]))
        return Explanation(f"{path} has no {function}; it has {named}", "name one of these, or leave the version out")
    return _missing_function(path, file, function)


def thumb_fault(path: str, file: Binary, function: str) -> Fault:
    """Explains that a function is Thumb code, whose address is odd, and which no kernel for arm puts a uprobe in.

    See arch_uprobe_analyze_insn of arch/arm/probes/uprobes/core.c. Raises ValueError, OSError.
    """
    if file.machine != EM_ARM or not function:
        return None
    with contextlib.suppress(Ambiguous):
        if any(place.offset & 1 for place in find_functions(file, function)):
            what = f"{function} of {path} is Thumb code, and kernels for arm place uprobes in ARM code alone"
            return Explanation(what, "build it with -marm, or trace its system calls")
    return None


def _missing_function(path: str, file: Binary, function: str) -> Explanation:
    names, plain = file.symbols(), function.split("@")[0]
    if plain in names.imported:
        return Explanation(f"{path} only calls {plain}, which is a library's", "name that library, such as libc.so.6")
    if not names.functions:
        fix = "install its debug symbols (-dbgsym, -debuginfo), or give the function's offset in the file instead"
        return Explanation(f"{path} has no symbols, so no function {function}", fix)
    among = names.functions
    if "::" in function and len(among) <= MANY_NAMES:
        among = {each for name in among if (each := _spelled(name))} or among
    return Explanation(f"{path} has no function {function}", suggestion(plain, among, LIST_FUNCTIONS))


def _spelled(symbol: str) -> str:
    """Returns a mangled symbol's name in Rust or, without arguments, in C++; empty for another symbol."""
    if rust := demangle_rust(symbol):
        return rust
    function = demangle(symbol)
    return function.name if function else ""


def _indirect_fault(path: str, file: Binary, function: str) -> Explanation:
    """Explains an indirect function that this process can't resolve, since it hasn't mapped that file."""
    what = f"{path} chooses {function} as it is loaded (an indirect function), and isn't loaded in this process"
    named = ", ".join(each.symbol for each in implementations(file, function)[:SHOWN_NAMES])
    if named:
        return Explanation(what, f"take one of its implementations: {named}")
    load = f', or load it here first, if you trust it: ctypes.CDLL("{path}")' if is_library(path) else ""
    return Explanation(what, f"give the offset of an implementation{load}")
