"""How C++ spells types and names: the words that a mangled symbol abbreviates, and declarators around each other.

The abbreviations are those of the Itanium C++ ABI, 5.1; the spelling is c++filt's.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

BUILTINS = dict(zip("vwbcahstijlmxynofdegz", """void;wchar_t;bool;char;signed char;unsigned char;short;unsigned short
int;unsigned int;long;unsigned long;long long;unsigned long long;__int128;unsigned __int128;float;double;long double
__float128;...""".replace("\n", ";").split(";")))  # fmt: skip
D_BUILTINS = {"d": "decimal64", "e": "decimal128", "f": "decimal32", "h": "half", "i": "char32_t", "s": "char16_t",
              "u": "char8_t", "a": "auto", "c": "decltype(auto)", "n": "decltype(nullptr)"}  # fmt: skip
STD = {"t": "std", "a": "std::allocator", "b": "std::basic_string", "s": "std::string", "i": "std::istream",
       "o": "std::ostream", "d": "std::iostream"}  # fmt: skip
OPERATORS = dict(each.split("=", 1) for each in """nw= new;na= new[];dl= delete;da= delete[];ps=+;ng=-;ad=&;de=*;co=~
pl=+;mi=-;ml=*;dv=/;rm=%;an=&;or=|;eo=^;aS==;pL=+=;mI=-=;mL=*=;dV=/=;rM=%=;aN=&=;oR=|=;eO=^=;ls=<<;rs=>>;lS=<<=;rS=>>=
eq===;ne=!=;lt=<;gt=>;le=<=;ge=>=;ss=<=>;nt=!;aa=&&;oo=||;pp=++;mm=--;cm=,;pm=->*;pt=->;cl=();ix=[];qu=?
aw= co_await""".replace("\n", ";").split(";"))  # fmt: skip
LITERAL_SUFFIXES = {"int": "", "unsigned int": "u", "long": "l", "unsigned long": "ul", "long long": "ll",
                    "unsigned long long": "ull"}  # fmt: skip
QUALIFIERS = {"r": " restrict", "V": " volatile", "K": " const"}
POINTERS = {"P": "*", "R": "&", "O": "&&"}


class CppType(NamedTuple):
    """A type in two halves: a declarator such as `*` goes between them, as in `int (*)(char)`."""

    left: str
    right: str = ""

    def __str__(self) -> str:
        return self.left + self.right


def pointer_to(inner: CppType, sign: str) -> CppType:
    """Returns a pointer or reference to a type; `& &&` is `&`."""
    if sign in ("&", "&&") and inner.left.endswith("&") and not inner.right:
        return CppType(inner.left if sign == "&&" or not inner.left.endswith("&&") else inner.left[:-1])
    if inner.right.startswith("("):
        return CppType(f"{inner.left}({sign}", f"){inner.right}")
    if inner.right.startswith(" ["):
        return CppType(f"{inner.left} ({sign}", f"){inner.right}")
    return CppType(inner.left + sign, inner.right)


def applied(name: str, arguments: str) -> str:
    """Returns a name with its template arguments: `operator<` keeps its distance."""
    return f"{name} {arguments}" if name.endswith("<") else name + arguments


def flat(arguments: Sequence[str | list[str]]) -> list[str]:
    """Returns template arguments with those of packs in the packs' places."""
    return [each for part in arguments for each in ([part] if isinstance(part, str) else part)]


def joined(arguments: Sequence[str | list[str]]) -> str:
    """Returns template arguments as text, those of packs too."""
    text = ", ".join(filter(None, flat(arguments)))
    return text + " " if text.endswith(">") else text


def last_component(scope: str) -> str:
    """Returns the last class of a scope without its template arguments and tags, as constructors are called."""
    return without_templates(scope).rpartition("::")[2].partition("[abi:")[0]


def is_structor(name: str) -> bool:
    """Returns True for a constructor or destructor, a template's too: they have no result."""
    plain = without_templates(name).split("::")
    return len(plain) > 1 and plain[-1].lstrip("~") == plain[-2]


def without_templates(name: str) -> str:
    """Returns a name without its template arguments: `a::b` for `a::b<int>::c<d>` … is `a::b::c`."""
    name, shown, depth = re.sub(r"operator(<=>|<<=|>>=|<<|>>|<=|>=|->\*|->|<|>)", _hidden, name), [], 0
    for char in name:
        depth += char == "<"
        if not depth:
            shown.append(char)
        depth -= char == ">" and depth > 0
    return _shown("".join(shown))


def _hidden(found: re.Match[str]) -> str:
    """Returns an operator's name with signs in place of its angle brackets."""
    return found[0].replace("<", "\x01").replace(">", "\x02")


def _shown(text: str) -> str:
    """Undoes _hidden."""
    return text.replace("\x01", "<").replace("\x02", ">")
