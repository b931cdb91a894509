"""Finds the place of a function in a binary by its name: versioned (`f@VERSION`), of C++ or Rust, or indirect.

libbpf takes a plain name and the first match, or refuses several; here the default version is taken, a demangled name
finds its mangled ones, and an indirect function (STT_GNU_IFUNC) is the one that this machine's loader chose.
"""

from __future__ import annotations

import ctypes
import os
import re
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import NamedTuple

from ..elf import STT_GNU_IFUNC
from .binary import Binary, SymbolTable
from .cplusplus import without_templates
from .demangle import MAX_SYMBOL, Function, demangle
from .regions import Region, regions_of
from .rust import demangle_rust
from .versions import SymbolVersion, SymbolVersions

STB_LOCAL = 0  # elf.h
RTLD_NOLOAD = 4  # bits/dlfcn.h of glibc, on every arch that the loader knows but MIPS
MAX_CANDIDATES = 20_000  # names, and functions, that are looked at: a hostile file may repeat one millions of times
STD_STRING = re.compile(r"std::(?:__cxx11::)?basic_string<char, ?std::char_traits<char>, ?std::allocator<char> ?>")

# Finds names in a table's bytes: where each begins, and its text.
Names = Callable[[bytes], Iterator["tuple[int, bytes]"]]


class Place(NamedTuple):
    """A function in a file: its symbol, its version where it has one, and its offset in the file in bytes.

    `indirect` for one that is chosen as the file is loaded: its offset is that of the function that chooses.
    """

    symbol: str
    version: SymbolVersion
    offset: int
    indirect: bool
    local: bool

    def __str__(self) -> str:
        mark = "@@" if self.version.default else "@"
        version = f"{mark}{self.version.name}" if self.version.name else ""
        return f"{demangle(self.symbol) or self.symbol}{version} (offset {self.offset:#x})"


class Ambiguous(ValueError):
    """Several functions have the name; `places` are theirs."""

    def __init__(self, places: Iterable[Place]):
        self.places = sorted(places, key=lambda place: place.offset)
        super().__init__(f"{len(self.places)} functions have that name")


def find_functions(binary: Binary, name: str) -> list[Place]:
    """Returns the function of a name, or those of a C++ name without arguments or of a Rust name; none for no such one.

    Raises Ambiguous for a plain name that stands for several, ValueError for a broken file, OSError.
    """
    plain, _, version = name.partition("@")
    version = version.lstrip("@")
    found = _places(binary, _plain_names(plain))
    if version:
        return [place for place in found if place.version.name == version][:1]
    if not found and "::" in name:
        mangled = _places(binary, _mangled_names(name))
        meant = {symbol for symbol in {place.symbol for place in mangled} if is_called(symbol, name)}
        return _unique(place for place in mangled if place.symbol in meant)
    found = _unique([place for place in found if place.version.default] or found)
    if len(found) > 1:
        found = [place for place in found if not place.local] or found
    if len(found) > 1:
        raise Ambiguous(found)
    return found


def versions_of(binary: Binary, name: str) -> list[Place]:
    """Returns each version of a function, the default one first. Raises ValueError, OSError."""
    found = {place.version: place for place in _places(binary, _plain_names(name.partition("@")[0]))}
    return sorted(found.values(), key=lambda place: (not place.version.default, place.version.name))


def implementations(binary: Binary, name: str) -> list[Place]:
    """Returns the functions that are called as glibc calls an indirect one's implementations: `__cos_fma` for `cos`.

    A stripped file has none. Raises ValueError, OSError.
    """
    begin = re.compile(rb"\0(__" + re.escape(name.partition("@")[0].encode()) + rb"_\w{1,64})(?=[\0@])")
    found = _places(binary, lambda texts: ((each.start(1), each[1]) for each in begin.finditer(texts)))
    return _unique(place for place in found if not place.indirect)


def chosen_offset(binary: Binary, name: str) -> int | None:
    """Returns the offset of the function that an indirect one stands for on this machine.

    The dynamic loader has chosen it if this process has the library mapped: then it tells the address. None for a file
    that this process hasn't mapped; it isn't loaded for that, since that would run its code.
    """
    plain, _, version = name.partition("@")
    own = os.fstat(binary.file.fileno())
    for region in _mapped(own):
        try:
            library = ctypes.CDLL(region.path, mode=RTLD_NOLOAD)
            address = _address_in(library, plain, version.lstrip("@"))
        except (OSError, AttributeError, ValueError):
            return None
        for each in _mapped(own):
            if address is not None and each.start <= address < each.end:
                return address - each.start + each.offset
        return None
    return None


def is_called(symbol: str, wanted: str) -> bool:
    """Returns True if a mangled symbol has that name in C++ or Rust."""
    return matches(demangle(symbol), wanted) or matches_rust(demangle_rust(symbol), wanted)


def matches_rust(name: str | None, wanted: str) -> bool:
    """Returns True if a function has that Rust name: generic arguments count only where it has them.

    `app::Server::run` is `<app::Server>::run`, too.
    """
    if name is None:
        return False
    head, rest = "", name
    if name.startswith("<"):
        end = _closing(name)
        head, rest = name[: end + 1], name[end + 1 :]
        if " as " not in head:
            head, rest = "", head[1:-1] + rest
    generic = without_templates(rest).replace("::::", "::").rstrip(":")
    return wanted in (name, head + rest, head + generic)


def _closing(name: str) -> int:
    """Returns where the angle bracket closes that a name begins with; the last place where none does."""
    depth = 0
    for place, sign in enumerate(name):
        depth += (sign == "<") - (sign == ">" and name[place - 1] != "-")
        if not depth:
            return place
    return len(name) - 1


def matches(function: Function | None, wanted: str) -> bool:
    """Returns True if a function has that C++ name: arguments and template arguments count only where it has them."""
    if function is None:
        return False
    name, opened, rest = _split_arguments(wanted)
    if _canonical(name) not in (_canonical(function.name), _canonical(without_templates(function.name))):
        return False
    return not opened or _canonical(f"({function.arguments}){function.qualifiers}") == _canonical(f"({rest}")


def _split_arguments(wanted: str) -> tuple[str, str, str]:
    """Splits a name at the parenthesis of its arguments, which `(anonymous namespace)` and `operator()` aren't."""
    hidden = wanted.replace("(anonymous namespace)", "\x01").replace("operator()", "\x02")
    return tuple(  # type: ignore[return-value]
        part.replace("\x01", "(anonymous namespace)").replace("\x02", "operator()") for part in hidden.partition("(")
    )


def _canonical(text: str) -> str:
    """Returns a C++ name or argument list in one spelling: `const T&` as `T const&`, std::string short, no spaces."""
    text = re.sub(r"\[abi:\w+\]", "", STD_STRING.sub("std::string", text))
    text = re.sub(r"(?<![\w:])const ((?:unsigned |signed |long |short )*[\w:]+(?:<[^<>]*>)?)", r"\1 const", text)
    return re.sub(r" *([^\w ]) *", r"\1", " ".join(text.split()))


def _plain_names(name: str) -> Names:
    """Returns a finder of that name alone; a linker may let it be the end of a longer one."""
    pattern = re.compile(re.escape(name.encode("utf-8", "surrogateescape")) + rb"(?=[\0@])")
    return lambda texts: ((found.start(), found[0]) for found in pattern.finditer(texts))


def _mangled_names(name: str) -> Names:
    """Returns a finder of the symbols that may be a C++ or Rust name's: those with its last plain component in them."""
    parts = without_templates(_split_arguments(name)[0]).split("::")
    last = next((part.lstrip("~") for part in reversed(parts) if re.fullmatch(r"~?(?!operator\b)\w+", part)), "")
    pattern = re.escape(last.encode("utf-8", "surrogateescape"))
    word = re.compile(b"%d_?%s" % (len(last.encode("utf-8", "surrogateescape")), pattern))

    def find(texts: bytes) -> Iterator[tuple[int, bytes]]:
        """Yields the place and text of each candidate in a table of names."""
        for found in islice(word.finditer(texts), MAX_CANDIDATES):
            start = texts.rfind(b"\0", max(0, found.start() - MAX_SYMBOL), found.start()) + 1
            end = texts.find(b"\0", found.end(), found.end() + MAX_SYMBOL)
            if end >= 0 and texts.startswith((b"_Z", b"_R"), start):
                yield start, texts[start:end].partition(b"@")[0]

    return find


def _places(binary: Binary, names: Names) -> list[Place]:
    """Returns the functions of a file that a finder names. Those beyond MAX_CANDIDATES are left out."""
    found: list[Place] = []
    exported: set[tuple[str, int]] = set()  # (symbol, offset): lld writes no versions to the table of the whole file
    for table in sorted(binary.tables(), key=lambda table: not table.dynamic):
        starts = dict(islice(names(table.texts), MAX_CANDIDATES))
        versions = SymbolVersions(binary) if table.dynamic and starts else None
        for row in islice(binary.rows_named(table, starts), MAX_CANDIDATES):
            offset = binary.file_offset(row)
            if offset is not None:
                version = versions.of(row.number) if versions else _written_version(table, row.name)
                symbol = starts[row.name].decode("utf-8", "surrogateescape")
                if table.dynamic:
                    exported.add((symbol, offset))
                elif (symbol, offset) in exported:
                    continue
                found.append(Place(symbol, version, offset, row.kind == STT_GNU_IFUNC, row.binding == STB_LOCAL))
    return found


def _written_version(table: SymbolTable, place: int) -> SymbolVersion:
    """Returns the version in a symbol's own name, as the linker writes it to the table of the whole file."""
    _, at, version = table.texts[place : table.texts.find(b"\0", place)].decode("utf-8", "replace").partition("@")
    return SymbolVersion(version.lstrip("@"), not at or version.startswith("@"))


def _unique(places: Iterable[Place]) -> list[Place]:
    """Returns one place for each offset: aliases and both tables name the same function."""
    return list({place.offset: place for place in reversed(list(places))}.values())[::-1]


def _mapped(own: os.stat_result) -> list[Region]:
    """Returns where this process has mapped a file."""
    found = []
    for region in regions_of(os.getpid()):
        if region.path.startswith("/"):
            try:
                same = os.path.samestat(os.stat(region.path), own)
            except OSError:
                same = False
            found += [region] if same else []
    return found


def _address_in(library: ctypes.CDLL, name: str, version: str) -> int | None:
    """Returns a symbol's address by the dynamic loader. Raises AttributeError without one."""
    if not version:
        return ctypes.cast(getattr(library, name), ctypes.c_void_p).value
    dlvsym = ctypes.CDLL(None).dlvsym
    dlvsym.restype, dlvsym.argtypes = ctypes.c_void_p, (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p)
    address: int | None = dlvsym(library._handle, name.encode(), version.encode())
    return address
