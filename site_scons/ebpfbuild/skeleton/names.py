"""Makes Python names of C names: an underscore follows what Python, the loader or a neighbour is called."""

import builtins
import keyword
import re
import sys

from ..errors import PackageError, SkeletonError

C_NAME = r"[A-Za-z_][A-Za-z0-9_]{0,511}"  # as long as the kernel takes one: KSYM_NAME_LEN
PYTHON_KEYWORDS = frozenset(keyword.kwlist)
STANDARD = sys.stdlib_module_names | {"test"}  # which lists no test modules, though `import test` finds one
BUILTINS = PYTHON_KEYWORDS | set(dir(builtins))

# What a generated class body mentions, and what bpfloader's base classes define: a test holds them against the loader.
# Python's own types and the module's `c` are no part of it: beside a member of such a name they are written with their
# module's, see lines.py, and the member keeps the name that it has in C.
HINTS = frozenset("bool bytes float int str tuple".split())
_IMPORTED = {"ClassVar", "Final", "IPv4Address", "IPv6Address"}
_MENTIONED = PYTHON_KEYWORDS | _IMPORTED | {"bpfloader"}
FIELDS = _MENTIONED | set("self builtins codec from_bytes to_bytes to_dict".split())
FIELDS |= set("_bind _bytes _place _read _values _write".split())
VARIABLES = _MENTIONED | {"builtins"}
VARIABLES |= set("_bind _close _constant _error_name _loaded _map _memory _name _owner _read _view _write".split())
# Of maps, programs and links.
MEMBERS = _MENTIONED | set("builtins _add _all _clear _error_name _is_protocol _names _owner _remove _what".split())
CONSTANTS = BUILTINS | _IMPORTED | {"bpfloader", "builtins", "c", "ARCH"}
ENUMERATORS = PYTHON_KEYWORDS | {"mro", "name", "value"} | {name for name in dir(int) if not name.startswith("_")}


def c_name(name: str, what: str) -> str:
    """Returns the name itself. Raises SkeletonError for one that is none in C and must not get into generated code."""
    if not re.fullmatch(C_NAME, name):
        raise SkeletonError(f"{what} {name[:80]!r} has no C name", fix="compile it with clang")
    return name


def class_name(name: str) -> str:
    """Returns a type's or program's name in CamelCase: `tcp_state` is TcpState, `event___v2` EventV2, `IPv4` IPv4.

    An underscore follows what Python calls so itself: `struct none` is None_, `struct exception` Exception_.
    """
    words = [word for word in re.split(r"[^A-Za-z0-9]+", name) if word]
    camel = "".join(word[0].upper() + word[1:] for word in words)
    if camel in CONSTANTS:
        return f"{camel}_"
    return f"_{camel}" if not camel or camel[0].isdigit() else camel


def module_name(stem: str) -> str:
    """Returns the name of a skeleton's module, which has to be one for `import`: `tcp-rtt` is tcp_rtt_skel."""
    name = re.sub(r"\W", "_", f"{stem}_skel", flags=re.ASCII)
    return f"_{name}" if name[0].isdigit() else name


def package_name(name: str) -> str:
    """Returns the name itself. Raises PackageError for one by which `import` finds nothing, or another module."""
    fix = "choose another name"
    if not name.isidentifier() or not name.isascii():
        what, fix = "can't be imported", "name it as a Python module: letters, digits and _"
    elif keyword.iskeyword(name):
        what = "is a word of Python's own, which can't be imported"
    elif name in STANDARD:
        what = "is a module of Python's own, which is found first"
    elif name == "bpfloader":
        what = "is the loader, which lies in each package"
    else:
        return name
    raise PackageError(f"{name!r} {what}", where="BpfPackage", fix=fix)


def attribute_name(name: str, taken: set[str], what: str, reserved: frozenset[str] = FIELDS) -> str:
    """Makes a member's, map's or variable's name: C's own, with one leading underscore at most.

    Two would hide it in a class. One follows it where Python, the loader or another one uses the name. Adds it to
    `taken`. Raises SkeletonError.
    """
    plain = c_name(name, what)
    if plain.startswith("__"):
        plain = "_" + plain.lstrip("_")
    if plain in reserved or (reserved is ENUMERATORS and re.fullmatch("_.*_", plain)):  # Enum keeps _x_ for itself
        plain += "_"
    return unique(plain, taken)


def unique(name: str, taken: set[str]) -> str:
    """Returns the name with as many underscores behind it as make it none of those taken. Adds it to them."""
    while name in taken:
        name += "_"
    taken.add(name)
    return name


def comment(text: str) -> str:
    """Returns C text fit for a comment: printable ASCII on one line."""
    return re.sub(r"[^\x20-\x7e]", "?", text)
