"""Finds the names that libbpf's BPF-side headers declare, and those of them that a program can't see."""

import re
from collections.abc import Iterable, Mapping
from pathlib import PurePath
from typing import NamedTuple

from ..compile.directives import directives

_MACRO = re.compile(r"^[ \t]*#[ \t]*define[ \t]+(\w+)", re.MULTILINE)
_FUNCTION = re.compile(r"^(?!typedef)(?:\w+[ \t*]+)+(\w+)\(", re.MULTILINE)
_HELPER = re.compile(r"\(\* ?(?:const )?(\w+)\)\(")  # of bpf_helper_defs.h: static long (* const bpf_…)(…) = (void *) 1
HOME = {"bpf_helper_defs.h": "bpf_helpers.h"}  # needs what the other defines before it includes it


class LibbpfNames(NamedTuple):
    """The names of libbpf's headers by header, such as `bpf/bpf_endian.h`, and those that a program doesn't include."""

    homes: Mapping[str, str]
    missing: frozenset[str]


def libbpf_names(headers: Mapping[str, str], texts: Iterable[str]) -> LibbpfNames:
    """Returns the names that libbpf's headers (text by file name) declare, and those that a program's own files miss.

    A name that those define themselves isn't missed.
    """
    homes: dict[str, str] = {}
    for file, text in sorted(headers.items()):
        home = HOME.get(file, file)
        found = [name for pattern in (_MACRO, _FUNCTION, _HELPER) for name in pattern.findall(text)]
        homes |= {name: f"bpf/{home}" for name in found if name not in homes and not name.startswith("___")}
    texts = list(texts)
    seen = _included(headers, texts)
    own = {name for text in texts for name in _MACRO.findall(text)}
    return LibbpfNames(homes, frozenset(name for name, home in homes.items() if PurePath(home).name not in seen) - own)


def _included(headers: Mapping[str, str], texts: Iterable[str]) -> set[str]:
    """Returns the file names of libbpf's headers that texts include, directly or by one another."""
    seen: set[str] = set()
    queue = list(texts)
    while queue:
        files = {PurePath(each.name).name for each in directives(queue.pop()).references} & headers.keys() - seen
        seen |= files
        queue += [headers[file] for file in files]
    return seen
