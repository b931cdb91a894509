"""Python names for C names: deterministic, refused where two become one."""

import keyword
import re

from .errors import SkeletonError

# The types and modules that a generated class mentions, and what bpfloader's base classes define.
RESERVED = frozenset(keyword.kwlist) | set(
    """bool bpfloader bytes c codec float from_bytes int mro name self str to_bytes tuple value
    _bytes _close _constant _loaded _map _name _owner _readable _view _writable""".split()
)
C_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def c_name(name: str, what: str) -> str:
    """The name itself. Raises SkeletonError for one that is none in C and must not get into generated code."""
    if not C_NAME.fullmatch(name):
        raise SkeletonError(f"{what} {name!r} has no C name", fix="compile it with clang")
    return name


def class_name(name: str) -> str:
    """A type's or program's name in CamelCase: `tcp_state` is TcpState, `event___v2` EventV2, `IPv4` IPv4."""
    words = [word for word in re.split(r"[^A-Za-z0-9]+", name) if word]
    camel = "".join(word[0].upper() + word[1:] for word in words)
    return f"_{camel}" if not camel or camel[0].isdigit() else camel


def attribute_name(name: str, taken: set[str], what: str) -> str:
    """A member's, map's or variable's name: C's own, with one leading underscore at most (two hide it in a class).

    One follows it where Python or the loader uses the name. Adds it to `taken`; raises SkeletonError if it is there.
    """
    plain = c_name(name, what)
    if plain.startswith("__"):
        plain = "_" + plain.lstrip("_")
    if plain in RESERVED:
        plain += "_"
    if plain in taken:
        raise SkeletonError(
            f"{what} {name} and another one would both be called {plain} in Python", fix="rename one of them"
        )
    taken.add(plain)
    return plain


def comment(text: str) -> str:
    """C text fit for a comment: printable ASCII on one line."""
    return re.sub(r"[^\x20-\x7e]", "?", text)
