"""Reads names of C++ functions out of mangled symbols (Itanium C++ ABI, 5.1), and those of Rust's legacy mangling.

It knows nested names, templates, substitutions, operators, local names and the types of arguments; a symbol with an
expression in it (decltype, requires) has no name here. Names are spelled as c++filt does.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from .cplusplus import (
    BUILTINS,
    D_BUILTINS,
    LITERAL_SUFFIXES,
    OPERATORS,
    POINTERS,
    QUALIFIERS,
    STD,
    CppType,
    applied,
    flat,
    is_structor,
    joined,
    last_component,
    pointer_to,
)

MAX_SYMBOL = 4096  # characters of a symbol
MAX_DEPTH = 64  # of types and names within each other
MAX_TEXT = 1 << 18  # characters that one symbol's parts may grow to: substitutions may double them again and again
RUST_HASH = re.compile(r"::h[0-9a-f]{16}$")
CLONES = re.compile(r"\.(isra|constprop|llvm)\.[\w.]*$")  # copies of the whole function; .cold and .part are pieces


class Function(NamedTuple):
    """A function's name with its namespaces and classes, the types of its arguments, and `const` and its like."""

    name: str
    arguments: str
    qualifiers: str = ""

    def __str__(self) -> str:
        return f"{self.name}({self.arguments}){self.qualifiers}"


class _Unknown(Exception):
    """The symbol isn't of a form that is known here."""


def demangle(symbol: str) -> Function | None:
    """Returns the function of a mangled symbol; None for what isn't mangled, or not in a known form."""
    symbol = CLONES.sub("", symbol)
    if not symbol.startswith("_Z") or len(symbol) > MAX_SYMBOL:
        return None
    parser = _Parser(symbol, 2)
    try:
        function = parser.encoding()
    except _Unknown:
        return None
    if parser.place != len(symbol):
        return None
    return function._replace(name=RUST_HASH.sub("", function.name))


class _Parser:
    """A recursive descent over one symbol; each method reads what its name says at `place`."""

    def __init__(self, text: str, place: int):
        self.text, self.place, self.depth, self.written = text, place, 0, 0
        self.known: list[CppType] = []  # what substitutions stand for
        self.arguments: list[str | list[str]] = []  # those of the template that is named, for T_; a list is a pack
        self.element, self.pack_size = 0, 0  # of the packs that are being expanded: the element's place, their size

    def peek(self, length: int = 1) -> str:
        return self.text[self.place : self.place + length]

    def take(self, *choices: str) -> str:
        """Reads one of these texts; empty if none is next."""
        for each in choices:
            if self.text.startswith(each, self.place):
                self.place += len(each)
                return each
        return ""

    def require(self, text: str) -> None:
        """Reads that text."""
        if not self.take(text):
            raise _Unknown

    def remember(self, kind: CppType) -> CppType:
        """Makes a type or prefix the next substitution."""
        self.bounded(str(kind))
        self.known.append(kind)
        return kind

    def bounded(self, text: str) -> str:
        """Returns a text that was put together, counted against MAX_TEXT."""
        self.written += len(text)
        if self.written > MAX_TEXT:
            raise _Unknown
        return text

    def encoding(self) -> Function:
        """Reads a function: its name, and the types of its arguments."""
        self.deeper()
        name, templated, qualifiers = self.name(True)
        self.depth -= 1
        if self.place == len(self.text) or self.peek() == "E":
            raise _Unknown  # data: it has no arguments
        if templated and not re.search(r"(^|::)operator [^<]*$", name) and not is_structor(name):
            self.type()  # a template's result
        return Function(name, self.types_until_end(), qualifiers)

    def deeper(self) -> None:
        """Goes a level down, MAX_DEPTH at most."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise _Unknown

    def types_until_end(self) -> str:
        """Reads the types of a function's arguments."""
        kinds = []
        while self.place < len(self.text) and self.peek() != "E":
            kinds.append(str(self.type()))
        shown = ", ".join(each for each in kinds if each)
        return "" if shown == "void" else self.bounded(shown)

    def name(self, own: bool = False) -> tuple[str, bool, str]:
        """Reads a name; returns it, whether template arguments end it, and its qualifiers.

        `own` for the name of the symbol itself, whose template arguments T_ stands for.
        """
        if self.take("N"):
            return self.nested(own)
        if self.take("Z"):
            return self.local()
        if self.peek() == "S" and self.peek(2) != "St":
            text = str(self.substitution())
        else:
            text = ("std::" if self.take("St") else "") + self.unqualified("")
            if self.peek() == "I":
                self.remember(CppType(text))
        templated = self.peek() == "I"
        return (applied(text, self.template_arguments(own)) if templated else text), templated, ""

    def nested(self, own: bool) -> tuple[str, bool, str]:
        """Reads prefixes up to E; each but the last is a substitution."""
        qualifiers = ""
        while found := self.take(*QUALIFIERS):
            qualifiers += QUALIFIERS[found]
        if found := self.take("R", "O"):
            qualifiers += {"R": " &", "O": " &&"}[found]
        text, templated = "", False
        while not self.take("E"):
            templated, again = False, False
            if self.peek() == "S" and not text:
                text, again = str(self.substitution()), True
            elif self.peek() == "T" and not text:
                text = str(self.template_parameter())
            elif self.peek() == "I" and text:
                text, templated = applied(text, self.template_arguments(own)), True
            else:
                self.take("M")
                unqualified = self.unqualified(text)
                text = f"{text}::{unqualified}" if text else unqualified
            if self.peek() != "E" and not again:
                self.remember(CppType(text))
        if not text:
            raise _Unknown
        return self.bounded(text), templated, qualifiers

    def local(self) -> tuple[str, bool, str]:
        """Reads a name within a function: Z function E name, with a number where several are called so."""
        function = str(self.encoding())
        self.require("E")
        if self.take("s"):
            text, templated, qualifiers = "string literal", False, ""
        else:
            if self.take("d"):
                self.number()
                self.require("_")
            text, templated, qualifiers = self.name()
        if self.take("__"):
            self.number()
            self.take("_")
        elif self.take("_"):
            self.number()
        return self.bounded(f"{function}::{text}"), templated, qualifiers

    def unqualified(self, scope: str) -> str:
        """Reads one component of a name; a constructor is called as the last class of `scope` is."""
        self.take("L")
        if self.peek().isdecimal():
            text = self.source_name()
        elif self.take("C1", "C2", "C3", "C4", "C5"):
            text = self.class_of(scope)
        elif self.take("D0", "D1", "D2", "D4", "D5"):
            text = f"~{self.class_of(scope)}"
        elif self.take("Ul"):
            text = f"{{lambda({self.types_until_end()})"
            self.require("E")
            text += f"#{self.sequence_number()}}}"
        elif self.take("Ut"):
            text = f"{{unnamed type#{self.sequence_number()}}}"
        elif self.take("cv"):
            text = f"operator {self.type()}"
        elif self.take("li"):
            text = f'operator"" {self.source_name()}'
        elif operator := self.take(*OPERATORS):
            text = f"operator{OPERATORS[operator]}"
        else:
            raise _Unknown
        while self.take("B"):
            text += f"[abi:{self.source_name()}]"
        return text

    def class_of(self, scope: str) -> str:
        """Returns the class in whose scope a constructor or destructor stands."""
        if not scope:
            raise _Unknown
        return last_component(scope)

    def sequence_number(self) -> int:
        """Reads the number of a lambda or an unnamed type: `_` is the first, `0_` the second."""
        number = self.number() + 2 if self.peek().isdecimal() else 1
        self.require("_")
        return number

    def number(self) -> int:
        """Reads a decimal number."""
        digits = re.compile(r"[0-9]{1,9}").match(self.text, self.place)
        if not digits:
            raise _Unknown
        self.place = digits.end()
        return int(digits[0])

    def source_name(self) -> str:
        """Reads an identifier, which stands behind its length."""
        length = self.number()
        text = self.peek(length)
        if not length or len(text) < length:
            raise _Unknown
        self.place += length
        return "(anonymous namespace)" if text.startswith("_GLOBAL__N") else text

    def substitution(self) -> CppType:
        """Reads a reference to a type or prefix that came before, or a name of std's."""
        self.require("S")
        if standard := self.take(*STD):
            return CppType(STD[standard])
        digits = re.compile(r"[0-9A-Z]{0,5}_").match(self.text, self.place)
        if not digits:
            raise _Unknown
        self.place = digits.end()
        number = int(digits[0][:-1], 36) + 1 if len(digits[0]) > 1 else 0
        if number >= len(self.known):
            raise _Unknown
        return self.known[number]

    def template_parameter(self) -> CppType:
        """Reads a reference to an argument of the template that is named."""
        self.require("T")
        number = 0 if self.peek() == "_" else self.number() + 1
        self.require("_")
        if number >= len(self.arguments):
            raise _Unknown
        found = self.arguments[number]
        if isinstance(found, str):
            return CppType(found)
        self.pack_size = len(found)
        return CppType(found[self.element] if self.element < len(found) else "")

    def template_arguments(self, own: bool = False) -> str:
        """Reads a template's arguments; with `own`, T_ stands for them from then on."""
        self.require("I")
        found = self.arguments_until_end()
        if own:
            self.arguments = found
        return self.bounded(f"<{joined(found)}>")

    def arguments_until_end(self) -> list[str | list[str]]:
        """Reads the arguments of a template; a pack of them is a list."""
        self.deeper()
        found: list[str | list[str]] = []
        while not self.take("E"):
            if self.take("J"):
                found.append(flat(self.arguments_until_end()))
            elif self.take("L"):
                found.append(self.literal())
            else:
                found.append(str(self.type()))
        self.depth -= 1
        return found

    def expansion(self) -> CppType:
        """Reads a pattern with packs, once for each of their elements."""
        start, known, outer, kinds = self.place, len(self.known), self.element, []
        self.element, self.pack_size = 0, 1
        while self.element < max(1, self.pack_size):
            self.place = start
            del self.known[known:]
            kinds.append(str(self.type()))
            self.element += 1
        kinds = kinds[: self.pack_size]
        self.element = outer
        return CppType(self.bounded(", ".join(kinds)))

    def literal(self) -> str:
        """Reads a value among a template's arguments."""
        if self.take("_Z"):
            text = self.encoding().name
            self.require("E")
            return text
        kind = str(self.type())
        found = re.compile(r"(n?)([0-9a-f]*)E").match(self.text, self.place)
        if not found:
            raise _Unknown
        self.place = found.end()
        value = ("-" if found[1] else "") + found[2]
        if kind == "bool" and value in ("0", "1"):
            return ("false", "true")[int(value)]
        return value + LITERAL_SUFFIXES[kind] if kind in LITERAL_SUFFIXES else f"({kind}){value}"

    def type(self) -> CppType:
        """Reads a type; all but a builtin one and a substitution itself become substitutions."""
        self.deeper()
        try:
            return self._type()
        finally:
            self.depth -= 1

    def _type(self) -> CppType:
        if builtin := self.take(*BUILTINS):
            return CppType(BUILTINS[builtin])
        if self.peek() == "D" and self.peek(2)[1:] in D_BUILTINS:
            return CppType(D_BUILTINS[self.take(*(f"D{each}" for each in D_BUILTINS))[1]])
        if self.peek() == "S" and self.peek(2) != "St":
            found = self.substitution()
            if self.peek() != "I":
                return found
            return self.remember(CppType(str(found) + self.template_arguments()))
        return self.remember(self._compound())

    def _compound(self) -> CppType:
        if qualifier := self.take(*QUALIFIERS):
            more = ""
            while found := self.take(*QUALIFIERS):
                more += QUALIFIERS[found]
            inner = self.type()
            return CppType(inner.left + more + QUALIFIERS[qualifier], inner.right)
        if pointer := self.take(*POINTERS):
            return pointer_to(self.type(), POINTERS[pointer])
        if self.take("F", "DoF"):
            return self.function_type()
        if self.take("A"):
            size = str(self.number()) if self.peek().isdecimal() else ""
            self.require("_")
            inner = self.type()
            return CppType(inner.left, f" [{size}]{inner.right.lstrip()}")
        if self.take("M"):
            scope, inner = self.type(), self.type()
            return pointer_to(inner, f"{scope}::*" if inner.right else f" {scope}::*")
        if self.take("Dp"):
            return self.expansion()
        if self.take("Dv"):
            length = self.number()
            self.require("_")
            return CppType(f"{self.type()} __vector({length})")
        if self.peek() == "T" and self.peek(2) not in ("Ts", "Tu", "Te"):
            parameter = self.template_parameter()
            if self.peek() != "I":
                return parameter
            return CppType(str(self.remember(parameter)) + self.template_arguments())
        if self.take("U"):
            vendor = self.source_name() + (self.template_arguments() if self.peek() == "I" else "")
            return CppType(f"{self.type()} {vendor}")
        if self.take("u"):
            return CppType(self.source_name())
        self.take("Ts", "Tu", "Te")
        return CppType(self.name()[0])

    def function_type(self) -> CppType:
        """Reads a function's type: its result, then its arguments."""
        self.take("Y")
        result, kinds = self.type(), []
        while self.peek() not in ("E", "R", "O") or self.peek(2) not in ("E", "RE", "OE"):
            if self.peek() == "E":
                break
            kinds.append(str(self.type()))
        reference = self.take("R", "O")
        self.require("E")
        shown = ", ".join(each for each in kinds if each)
        right = f"({'' if shown == 'void' else shown})" + {"": "", "R": " &", "O": " &&"}[reference]
        return CppType(f"{result.left} ", right + result.right)
