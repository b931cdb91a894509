"""Explains clang's diagnostics to somebody who compiles against a vmlinux.h: what they mean and what to do."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import SequenceMatcher, get_close_matches
from itertools import pairwise
from typing import NamedTuple

from .explain_uapi import home_of, missing_file, plain_name, plain_type
from .index import Index
from .libbpf_headers import LibbpfNames
from .macros import BCC, INSTEAD, VALUES
from .refs import member_names

_TYPE = re.compile(
    r"(?:unknown type name|incomplete (?:definition of |element |result )?type|\bdeclaration of)"
    r" '(?:const |volatile )*(?!(?:const|volatile|void|char|int|short|long|unsigned|signed|float|double|_Bool)\b)"
    r"((?:struct |union |enum )?\w+)"
)
_MEMBER = re.compile(r"no member named '(\w+)' in '(?:const |volatile )*((?:struct |union )?\w+)'")
_NAME = re.compile(r"use of undeclared identifier '(\w+)'")
_LIBC_CALL = re.compile(r"call to undeclared library function '(\w+)'")
_CALL = re.compile(r"(?:call to undeclared function|implicit declaration of function) '(\w+)'")
_TWICE = re.compile(
    r"(?:redefinition of|typedef redefinition .*|redefinition of enumerator|conflicting types for) '(\w+)'"
)
_FILE = re.compile(r"'(\S+\.h)' file not found")
_FORWARD = re.compile(r"^(.+?):(\d+):(\d+): note: forward declaration of '((?:struct |union |enum )\w+)'")
_ERROR = re.compile(r": (?:fatal )?error: ")
_SNIPPET = re.compile(r" *\d+ \|(.*)")  # the source that clang shows below a diagnostic
_CALLED = re.compile(r"\b(\w+)(?=\()")
_EXPANDED = re.compile(r"note: expanded from macro '(\w+)'")
_DIALECT = re.compile(r"use of undeclared identifier '(asm|typeof)'")
GNU_DIALECT = (
    "libbpf's headers use asm and typeof, which only GNU's dialects of C have: write -std=gnu11 in cflags, or nothing"
)
HELPERS_HEADER = "bpf/bpf_helpers.h"
MAX_SHOWN = 3
NEAR = 0.8  # difflib's ratio: below it, of ten thousands of names some are alike by chance


class _Header(NamedTuple):
    """The full header's declarations, what to call it, and libbpf's; where the program itself declares a type anew."""

    types: Index
    name: str
    libbpf: LibbpfNames
    forwards: Mapping[str, str]
    elsewhere: Callable[[str], str]

    def __str__(self) -> str:
        return self.name


def explain(
    index: Index | None,
    diagnostics: Iterable[str],
    kernel: str,
    arch: str,
    libbpf: LibbpfNames,
    elsewhere: Callable[[str], str] = lambda name: "",
) -> list[str]:
    """Returns lines for a person, one per cause, in the order of clang's diagnostics; none where none is the header's.

    `index` is the full header's, None for a program without one; `kernel` and `arch` are what it was made from;
    `elsewhere(name)` names a pinned header that has a type which this one lacks. The caller has found out whether the
    full header fails too: where it doesn't, the minimizer is at fault and these lines are not for the user.
    """
    shown = list(_with_source(diagnostics))
    if macros := _of_bcc(shown):
        return [_from_bcc(macros)]  # all that clang says of their uses follows from it
    diagnosed = [(text, source, _unseen(libbpf, text, source)) for text, source in shown]
    missed: dict[str, dict[str, None]] = {}  # of libbpf's headers, and what the program uses of each
    for name in (name for _, _, names in diagnosed for name in names):
        missed.setdefault(libbpf.homes[name], {})[name] = None
    twice = {found[1] for text, *_ in diagnosed if (found := _TWICE.search(text))}
    header = index and _Header(index, f"this header ({kernel}, {arch})", libbpf, _forwards(diagnosed), elsewhere)
    lines = []
    for text, _, names in diagnosed:
        if names:
            lines += [_include(home, missed[home]) for home in map(libbpf.homes.__getitem__, names)]
        elif HELPERS_HEADER not in missed and not _follows(text, twice):  # without SEC a declaration is none
            lines += _explained(header, text) if header else _plain(text)
    return list(dict.fromkeys(lines))


def _with_source(diagnostics: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yields clang's diagnostics, each with the line of source that clang shows with it, empty for none."""
    lines = [*diagnostics, ""]
    for text, below in pairwise(lines):
        shown = _SNIPPET.match(below)
        yield text, shown[1] if shown else ""


def _forwards(diagnosed: Iterable[tuple[str, str, list[str]]]) -> dict[str, str]:
    """Returns the places of the program's own `struct x;` by type.

    clang calls a mere use a forward declaration as well.
    """
    found: dict[str, str] = {}
    for text, source, _ in diagnosed:
        note = _FORWARD.match(text)
        if note and re.match(r"\w+\s*;", source.expandtabs(1)[int(note[3]) :]):
            found.setdefault(note[4], f"{note[1]}:{note[2]}")
    return found


def _unseen(libbpf: LibbpfNames, text: str, source: str) -> list[str]:
    """Returns the names of libbpf's that an error is about and whose header the program doesn't include.

    clang can't name a macro that it doesn't know: `SEC("xdp")` is a syntax error somewhere behind it, and each argument
    of BPF_CORE_READ an unknown name. A member that isn't there has its own explanation.
    """
    if not _ERROR.search(text) or _MEMBER.search(text):
        return []
    named = _NAME.search(text) or _CALL.search(text) or _LIBC_CALL.search(text)
    names = [*([named[1]] if named else []), *_CALLED.findall(source)]
    return [name for name in names if name in libbpf.missing]


def _of_bcc(shown: Iterable[tuple[str, str]]) -> list[str]:
    """Returns bcc's macros on the lines that errors are about, in their order; not those that the program defines."""
    found: dict[str, None] = {}
    own = set()
    for text, source in shown:
        own |= {expanded[1]} if (expanded := _EXPANDED.search(text)) else set()
        found |= dict.fromkeys(name for name in _CALLED.findall(source) if name in BCC and _ERROR.search(text))
    return [name for name in found if name not in own]


def _from_bcc(names: list[str]) -> str:
    named = f"{_listed(names)} are macros" if len(names) > 1 else f"{names[0]} is a macro"
    return f"{named} of bcc's: docs/from-bcc.md has what to write instead"


def _include(home: str, names: Iterable[str]) -> str:
    few = list(names)[:MAX_SHOWN]
    return f"{_listed(few)} {'are' if len(few) > 1 else 'is'} declared in <{home}>: include it"


def _listed(names: list[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


def _follows(text: str, twice: set[str]) -> bool:
    """Returns True if an error only follows from that a type is declared twice: its own members are unknown then."""
    member = _MEMBER.search(text)
    return member is not None and member[2].split()[-1] in twice


def _explained(header: _Header, text: str) -> list[str]:
    for pattern, row in _ROWS:
        if found := pattern.search(text):
            return row(header, *found.groups())
    return []


def _plain(text: str) -> list[str]:
    """Returns the line about a diagnostic of a program without a vmlinux.h, if there is one."""
    for pattern, line_of in _PLAIN_ROWS:
        if found := pattern.search(text):
            return list(filter(None, [line_of(found[1])]))
    return []


def _type(header: _Header, name: str) -> list[str]:
    index, word = header.types, name.split()[-1]
    if word in index.tags or word in index.ordinary:
        return _known(header, name, word)
    choices = index.tags if " " in name else {**index.ordinary, **index.tags}
    shown = name if " " in name else f"type {name}"
    typedef = "" if " " in name else ", or typedef it in your program"
    other = f" ({found})" if (found := header.elsewhere(name)) else ""
    return [
        f"{header} has no {shown}{_or_meant(word, choices)} it comes from a kernel built without it; "
        f"take another pin{other} or the header of your own kernel, "
        f"or declare what you read of it as struct {word}___local {{ … }} __attribute__((preserve_access_index))"
        f"{typedef}"
    ]


def _known(header: _Header, name: str, word: str) -> list[str]:
    index = header.types
    if name in header.forwards:
        where = header.forwards[name]
        return [
            f"{header} has {name}, but {where} declares one without members: drop that, and include vmlinux.h instead"
        ]
    if word in index.tags and " " not in name:
        keyword = index.declaration(index.tags[word]).split(None, 1)[0]
        return [f"{header} has {word} as {keyword} {word}: write {keyword} before it"]
    if word not in index.tags and " " in name:
        return [f"{header} has {word} as a typedef: write {word} without {name.split()[0]}"]
    return [f"{header} has {name}: include vmlinux.h before its first use"]


def _member(header: _Header, member: str, owner: str) -> list[str]:
    word = owner.split()[-1]
    number = header.types.tags.get(word, header.types.ordinary.get(word))
    if number is None:
        return []
    names = member_names(header.types, number)
    if member in names:
        return [
            f"{header} has {member} in {owner}, and the program defines another {owner}: "
            f"drop that, or call it {word}___local"
        ]
    near = ", ".join(get_close_matches(member, names, MAX_SHOWN))
    nearest = f" (nearest: {near})" if near else ""
    return [
        f"{header} has no member {member} in {owner}{nearest}; kernels differ: take another pin, "
        f"or declare the layout that has it as struct {word}___local and ask bpf_core_field_exists first"
    ]


def _name(header: _Header, name: str) -> list[str]:
    if name in header.types.ordinary:
        return []
    if name.endswith("_t"):
        return _type(header, name)  # in C, `x_t a;` is a use of an unknown name as well
    if home := home_of(name):
        return [
            f"{header} has no {name}; a kernel #define is in no BTF: "
            f"include <{home}> behind vmlinux.h, which then gives #defines alone"
        ]
    if name in VALUES:
        return [f"{header} has no {name}; a kernel #define is in no BTF: #define {name} {VALUES[name]}"]
    near = _near_name(name, _callable_names(header))
    meant = f"; did you mean {near}?" if near else ""
    if name.isupper():
        lead = f"{header} has no {name}" + (f"{meant} A" if near else "; a")
        return [f"{lead} kernel #define is in no BTF: #define it in your program"]
    return [f"{header} declares no {name}{meant}"] if near else []  # else a variable's name: clang has said it all


def _call(header: _Header, name: str) -> list[str]:
    if name in header.types.ordinary:
        return []
    return [
        f"{header} declares no {name}{_or_meant(name, _callable_names(header))} "
        "a kfunc of another kernel: declare it extern … __ksym __weak and ask bpf_ksym_exists first; "
        "a helper: it needs a newer libbpf"
    ]


def _libc(_: _Header, name: str) -> list[str]:
    return [_instead(name)]


def _instead(name: str) -> str:
    instead = INSTEAD.get(name, "a helper, a kfunc or a loop of your own")
    return f"BPF programs have no C library: instead of {name} take {instead}"


def _callable_names(header: _Header) -> list[str]:
    """Returns the names that an expression may hold.

    Not btf_bpf_… and btf_trace_…, typedefs that only the kernel uses.
    """
    return [*header.libbpf.homes, *(name for name in header.types.ordinary if not name.startswith("btf_"))]


def _declared_twice(header: _Header, name: str) -> list[str]:
    if name not in header.types.tags and name not in header.types.ordinary:
        return []
    return [f"{header} declares {name} already: drop your own, or call it {name}___local"]


def _file(_: _Header, name: str) -> list[str]:
    return list(filter(None, [missing_file(name)]))


def _no_asm(_: str) -> str:
    return GNU_DIALECT


def _dialect(_: _Header, _name: str) -> list[str]:
    return [GNU_DIALECT]


_ROWS = (
    (_DIALECT, _dialect),
    (_MEMBER, _member),
    (_TYPE, _type),
    (_NAME, _name),
    (_CALL, _call),
    (_LIBC_CALL, _libc),
    (_TWICE, _declared_twice),
    (_FILE, _file),
)
# Of a program without a vmlinux.h.
_PLAIN_ROWS = (
    (_DIALECT, _no_asm),
    (_TYPE, plain_type),
    (_NAME, plain_name),
    (_LIBC_CALL, _instead),
    (_FILE, missing_file),
)


def _or_meant(name: str, choices: Iterable[str]) -> str:
    """Returns the words between `has no x` and why that may be: the name that may have been meant instead."""
    near = _near_name(name, choices)
    return f"; did you mean {near}? Otherwise" if near else ":"


def _near_name(name: str, choices: Iterable[str]) -> str:
    """Returns the nearest name, if it differs by a letter or two; empty for none."""
    near = get_close_matches(name, sorted(each for each in choices if abs(len(each) - len(name)) < 4), 1)
    alike = near and (SequenceMatcher(None, near[0], name).ratio() >= NEAR or _one_letter(near[0], name))
    return near[0] if alike else ""


def _one_letter(one: str, other: str) -> bool:
    return len(one) == len(other) and sum(map(str.__ne__, one, other)) == 1
