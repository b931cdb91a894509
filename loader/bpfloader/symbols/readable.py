"""Spells a symbol as its language does: C++ or Rust, or as it is."""

from __future__ import annotations

import re

from .demangle import demangle
from .rust import demangle_rust

CLONE = re.compile(r"\.[A-Za-z_]\w*(?:\.\d+)*|\.\d+")  # .cold, .part.0, .llvm.123: of compilers


def readable(symbol: str) -> str:
    """Returns a function's name; a part or copy of it that a compiler made is marked, as c++filt does."""
    if not symbol.startswith(("_Z", "_R", "__ZN")):
        return symbol
    if rust := demangle_rust(symbol):
        return rust
    plain = symbol.partition(".")[0]
    function = demangle(plain)
    if function is None:
        return symbol
    return str(function) + "".join(f" [clone {each}]" for each in CLONE.findall(symbol[len(plain) :]))
