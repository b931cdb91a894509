"""Reads names of Rust functions: the v0 mangling (Rust RFC 2603) and the legacy one, spelled as rustc-demangle does.

Hashes of crates and disambiguators are left out. A symbol with a structured constant in it has no name here.
"""

from __future__ import annotations

import re
from collections.abc import Callable

MAX_SYMBOL = 4096  # characters of a symbol
MAX_DEPTH = 128  # of paths and types within each other
MAX_TEXT = 1 << 16  # characters that are written: back references may double what they stand for again and again
LEGACY = re.compile(r"_?_ZN([\w$.]+)17h[0-9a-f]{16}E")  # no repetition within another: those take for ever
ESCAPE = re.compile(r"\$(SP|BP|RF|LT|GT|LP|RP|C|u[0-9a-f]{1,6})\$|\.\.|\.")
SIGNS = {"SP": "@", "BP": "*", "RF": "&", "LT": "<", "GT": ">", "LP": "(", "RP": ")", "C": ","}
TYPES = {"a": "i8", "b": "bool", "c": "char", "d": "f64", "e": "str", "f": "f32", "h": "u8", "i": "isize", "j": "usize",
         "l": "i32", "m": "u32", "n": "i128", "o": "u128", "p": "_", "s": "i16", "t": "u16", "u": "()", "v": "...",
         "x": "i64", "y": "u64", "z": "!"}  # fmt: skip
SIGNED, UNSIGNED = "aslxni", "htmyoj"


class _Unknown(Exception):
    """The symbol isn't of a form that is known here."""


def demangle_rust(symbol: str) -> str | None:
    """Returns the name of a mangled Rust symbol; None for what isn't one, or not in a known form."""
    if len(symbol) > MAX_SYMBOL or not symbol.isascii():
        return None
    if symbol.startswith("_R"):
        parser = _Parser(re.split(r"[.$]", symbol[2:], maxsplit=1)[0])
        try:
            return parser.symbol()
        except (_Unknown, ValueError, OverflowError):
            return None
    found = LEGACY.match(symbol)
    return _legacy(found[1]) if found else None


def _legacy(text: str) -> str | None:
    """Returns a legacy name by its components, each behind its length; None if the lengths don't fit."""
    names, place = [], 0
    while place < len(text):
        digits = re.compile(r"[1-9]\d{0,3}").match(text, place)
        if not digits or digits.end() + int(digits[0]) > len(text):
            return None
        place = digits.end() + int(digits[0])
        name = text[digits.end() : place]
        names.append(ESCAPE.sub(_sign, name[1:] if name.startswith("_$") else name))
    return "::".join(names)


def _sign(found: re.Match[str]) -> str:
    if found[1] is None:
        return "::" if found[0] == ".." else "."
    if found[1] in SIGNS:
        return SIGNS[found[1]]
    code = int(found[1][1:], 16)
    return chr(code) if code < 0x110000 and chr(code).isprintable() else found[0]


class _Parser:
    """A recursive descent over one v0 symbol, without its `_R`; each method reads what its name says at `place`."""

    def __init__(self, text: str):
        self.text, self.place, self.depth, self.written, self.lifetimes = text, 0, 0, 0, 0

    def symbol(self) -> str:
        """Reads the whole symbol; a path behind the first one names the crate that asked for the function."""
        text = self.path(True)
        if self.peek() in "CMXYNIB" and self.peek():
            self.path(False)
        if self.place != len(self.text):
            raise _Unknown
        return text

    def peek(self) -> str:
        return self.text[self.place : self.place + 1]

    def take(self, char: str) -> bool:
        """Reads that character, if it is next."""
        found = self.peek() == char
        self.place += found
        return found

    def next(self) -> str:
        """Reads a character."""
        char = self.peek()
        if not char:
            raise _Unknown
        self.place += 1
        return char

    def bounded(self, text: str) -> str:
        """Returns a text that was put together, counted against MAX_TEXT."""
        self.written += len(text)
        if self.written > MAX_TEXT:
            raise _Unknown
        return text

    def within(self, read: Callable[[], str]) -> str:
        """Goes a level down, MAX_DEPTH at most."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise _Unknown
        text = self.bounded(read())
        self.depth -= 1
        return text

    def back_reference(self, read: Callable[[], str]) -> str:
        """Reads the same again that stands at an earlier place."""
        start = self.place - 1
        target = self.base62()
        if target >= start:
            raise _Unknown
        after, self.place = self.place, target
        text = self.within(read)
        self.place = after
        return text

    def base62(self) -> int:
        """Reads a number: `_` is 0, `0_` is 1."""
        found = re.compile(r"[0-9a-zA-Z]{0,12}_").match(self.text, self.place)
        if not found:
            raise _Unknown
        self.place, value = found.end(), 0
        for char in found[0][:-1]:
            value = value * 62 + "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ".index(char)
        return value + (len(found[0]) > 1)

    def optional(self, tag: str) -> int:
        """Reads a number behind a tag, and adds one; 0 without the tag."""
        return self.base62() + 1 if self.take(tag) else 0

    def identifier(self) -> str:
        """Reads a name behind its length; `u` marks Punycode, whose `_` stands for `-`."""
        encoded = self.take("u")
        found = re.compile(r"0|[1-9][0-9]{0,3}").match(self.text, self.place)
        if not found:
            raise _Unknown
        self.place = found.end()
        self.take("_")
        name = self.text[self.place : self.place + int(found[0])]
        self.place += int(found[0])
        if len(name) < int(found[0]):
            raise _Unknown
        if not encoded:
            return name
        ascii_part, _, rest = name.rpartition("_")
        text = (f"{ascii_part}-{rest}" if ascii_part else rest).encode().decode("punycode")
        if not text.isprintable():
            raise _Unknown
        return text

    def path(self, value: bool) -> str:
        """Reads a path; `value` for one of a function, whose generic arguments stand behind `::`."""
        return self.within(lambda: self._path(value))

    def _path(self, value: bool) -> str:
        tag = self.next()
        if tag == "B":
            return self.back_reference(lambda: self.path(value))
        if tag == "C":
            self.optional("s")
            return self.identifier()
        if tag == "N":
            return self.nested(value)
        if tag == "I":
            return f"{self.path(value)}{'::' * value}<{self.generic_arguments()}>"
        if tag in "MX":
            self.optional("s")
            self.path(False)  # of the impl, which nobody wants to read
        if tag == "M":
            return f"<{self.type()}>"
        if tag in "XY":
            return f"<{self.type()} as {self.path(False)}>"
        raise _Unknown

    def nested(self, value: bool) -> str:
        """Reads a name in a namespace: an uppercase one has no name of its own in the source."""
        space = self.next()
        outer = self.path(value)
        number = self.optional("s")
        name = self.identifier()
        if space.isupper():
            kind = {"C": "closure", "S": "shim"}.get(space, space)
            inner = f"{kind}:{name}" if name else kind
            return f"{outer}::{{{inner}#{number}}}"
        if not space.isalpha():
            raise _Unknown
        return f"{outer}::{name}" if name else outer

    def generic_arguments(self) -> str:
        """Reads the arguments of a generic up to E."""
        return ", ".join(self.until_end(self.generic_argument))

    def until_end(self, read: Callable[[], str]) -> list[str]:
        """Reads the parts of a list up to its E."""
        found = []
        while not self.take("E"):
            found.append(read())
        return found

    def generic_argument(self) -> str:
        """Reads a lifetime, a constant or a type."""
        if self.take("L"):
            return self.lifetime(self.base62())
        return self.constant() if self.take("K") else self.type()

    def lifetime(self, index: int) -> str:
        """Returns a lifetime by its distance to the binder that names it."""
        if not index:
            return "'_"
        depth = self.lifetimes - index
        if depth < 0:
            raise _Unknown
        return f"'{chr(ord('a') + depth)}" if depth < 26 else f"'_{depth}"

    def binder(self, read: Callable[[], str]) -> str:
        """Reads what stands within a binder of lifetimes, `for<'a>`."""
        count, before = self.optional("G"), self.lifetimes
        if count > 100:
            raise _Unknown
        self.lifetimes += count
        names = ", ".join(self.lifetime(count - number) for number in range(count))
        text = read()
        self.lifetimes = before
        return f"for<{names}> {text}" if count else text

    def type(self) -> str:
        """Reads a type."""
        return self.within(self._type)

    def _type(self) -> str:
        tag = self.next()
        if tag in TYPES:
            return TYPES[tag]
        if tag == "B":
            return self.back_reference(self.type)
        if tag == "A":
            return f"[{self.type()}; {self.constant()}]"
        if tag == "S":
            return f"[{self.type()}]"
        if tag == "T":
            found = self.until_end(self.type)
            return f"({', '.join(found)}{',' * (len(found) == 1)})"
        if tag in "RQ":
            index = self.base62() if self.take("L") else 0
            return f"&{self.lifetime(index) + ' ' if index else ''}{'mut ' * (tag == 'Q')}{self.type()}"
        if tag in "PO":
            return f"*{'const' if tag == 'P' else 'mut'} {self.type()}"
        if tag == "F":
            return self.binder(self.signature)
        if tag == "D":
            return self.trait_object()
        self.place -= 1
        return self.path(False)

    def signature(self) -> str:
        """Reads a function's type."""
        text = "unsafe " * self.take("U")
        if self.take("K"):
            abi = "C" if self.take("C") else self.identifier().replace("_", "-")
            text += f'extern "{abi}" '
        text += f"fn({', '.join(self.until_end(self.type))})"
        result = self.type()
        return text if result == "()" else f"{text} -> {result}"

    def trait_object(self) -> str:
        """Reads `dyn A + B + 'a`."""
        text = "dyn " + self.binder(lambda: " + ".join(self.until_end(self.trait)))
        if not self.take("L"):
            raise _Unknown
        index = self.base62()
        return f"{text} + {self.lifetime(index)}" if index else text

    def trait(self) -> str:
        """Reads a trait with its associated types, which are written among its generic arguments."""
        text, types = self.path(False), []
        while self.take("p"):
            name = self.identifier()
            types.append(f"{name} = {self.type()}")
        if not types:
            return text
        return (
            f"{text[:-1]}, {', '.join(types)}>"
            if text.endswith(">") and not text.startswith("<")
            else f"{text}<{', '.join(types)}>"
        )

    def constant(self) -> str:
        """Reads a constant: an integer, a bool, a char or `_`."""
        return self.within(self._constant)

    def _constant(self) -> str:
        tag = self.next()
        if tag == "p":
            return "_"
        if tag == "B":
            return self.back_reference(self.constant)
        negative = tag in SIGNED and self.take("n")
        found = re.compile(r"[0-9a-f]{0,32}_").match(self.text, self.place)
        if not found or tag not in SIGNED + UNSIGNED + "bc":
            raise _Unknown
        self.place = found.end()
        number = int(found[0][:-1] or "0", 16)
        if tag == "b":
            return ("false", "true")[number] if number < 2 else self.unknown()
        if tag == "c":
            return repr(chr(number)) if number < 0x110000 and not 0xD800 <= number < 0xE000 else self.unknown()
        return "-" * negative + (str(number) if number < 1 << 64 else hex(number))

    def unknown(self) -> str:
        raise _Unknown
