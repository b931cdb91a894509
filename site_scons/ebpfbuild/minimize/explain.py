"""What clang's diagnostics mean to somebody who compiles against a vmlinux.h, and what to do about them."""

import difflib
import re
from collections.abc import Iterable

from .index import Index
from .refs import member_names

_TYPE = re.compile(
    r"(?:unknown type name|incomplete (?:definition of |element |result )?type|declaration of)"
    r" '(?:const |volatile )*((?:struct |union |enum )?\w+)"
)
_MEMBER = re.compile(r"no member named '(\w+)' in '(?:const |volatile )*((?:struct |union )?\w+)'")
_NAME = re.compile(
    r"(?:use of undeclared identifier|call to undeclared (?:library )?function|implicit declaration of function)"
    r" '(\w+)'"
)
_TWICE = re.compile(r"(?:redefinition of|typedef redefinition .*|redefinition of enumerator) '(\w+)'")
_FILE = re.compile(r"'((?:linux|asm|uapi|sys|net|bits|gnu|std)\S*\.h)' file not found")


def explain(index: Index, diagnostics: Iterable[str], kernel: str, arch: str) -> list[str]:
    """Lines for a person, one per cause, in the order of clang's diagnostics; empty where none is the header's.

    `index` is the full header's, `kernel` and `arch` are what it was made from. The caller has found out whether the
    full header fails too: where it doesn't, the minimizer is at fault and these lines are not for the user.
    """
    header = f"this header ({kernel}, {arch})"
    lines = []
    for text in diagnostics:
        for pattern, row in _ROWS:
            found = pattern.search(text)
            if found:
                lines += row(index, header, *found.groups())
                break
    return list(dict.fromkeys(lines))


def _type(index: Index, header: str, name: str) -> list[str]:
    word = name.split()[-1]
    if word in index.tags or word in index.ordinary:
        return _known(index, header, name, word)
    choices = index.tags if " " in name else {**index.ordinary, **index.tags}
    shown = name if " " in name else f"type {name}"
    typedef = "" if " " in name else ", or typedef it in your program"
    return [
        f"{header} has no {shown}: it comes from a kernel built without it{_nearest(word, choices)}; take another pin, "
        f"or declare what you read of it as struct {word}___local {{ … }} __attribute__((preserve_access_index))"
        f"{typedef}"
    ]


def _known(index: Index, header: str, name: str, word: str) -> list[str]:
    if word in index.tags and " " not in name:
        keyword = index.declaration(index.tags[word]).split(None, 1)[0]
        return [f"{header} has {word} as {keyword} {word}: write {keyword} before it"]
    if word not in index.tags and " " in name:
        return [f"{header} has {word} as a typedef: write {word} without {name.split()[0]}"]
    return [f"{header} has {name}: include vmlinux.h before its first use"]


def _member(index: Index, header: str, member: str, owner: str) -> list[str]:
    word = owner.split()[-1]
    number = index.tags.get(word, index.ordinary.get(word))
    if number is None:
        return []
    names = member_names(index, number)
    return [
        f"{header} has no member {member} in {owner}{_nearest(member, names)}; kernels differ: take another pin, or "
        f"declare the layout that has it as struct {word}___local and ask bpf_core_field_exists first"
    ]


def _name(index: Index, header: str, name: str) -> list[str]:
    if name in index.ordinary:
        return []
    if name.endswith("_t"):
        return _type(index, header, name)  # in C, `x_t a;` is a use of an unknown name as well
    near = _nearest(name, index.ordinary)
    if name.isupper():
        return [f"{header} has no {name}{near}; a kernel #define is in no BTF: #define it in your program"]
    return [
        f"{header} declares no {name}{near}; a kfunc of another kernel: declare it extern … __ksym __weak and ask "
        f"bpf_ksym_exists first; a helper: it needs a newer libbpf"
    ]


def _twice(index: Index, header: str, name: str) -> list[str]:
    if name not in index.tags and name not in index.ordinary:
        return []
    return [f"{header} declares {name} already: drop your own, or call it {name}___local"]


def _file(index: Index, header: str, name: str) -> list[str]:
    return [
        f"<{name}> isn't there, and vmlinux.h takes the place of the kernel's headers: drop the #include, and #define "
        f"the macros you need"
    ]


_ROWS = ((_MEMBER, _member), (_TYPE, _type), (_NAME, _name), (_TWICE, _twice), (_FILE, _file))


def _nearest(name: str, choices: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(choices), n=3)
    return f" (nearest: {', '.join(near)})" if near else ""
