"""Finds which headers a program asks for, by its directives alone: a vmlinux.h, the kernel's UAPI headers, or both.

This decides before anything is fetched or made, so it looks at the project's files alone, and what it finds is the same
in a first build as in the next.
"""

import functools
import os
import re
from collections.abc import Callable, Collection, Iterable
from typing import NamedTuple

from ..compile.directives import directives
from .libc import LIBC_HEADERS
from .tree import FREESTANDING

VMLINUX_H = "vmlinux.h"
# Of libbpf's headers those that ask for no header of the kernel's. usdt.bpf.h includes <linux/errno.h>.
_WITHOUT_KERNEL_HEADERS = ("bpf_core_read.h", "bpf_endian.h", "bpf_helper_defs.h", "bpf_helpers.h", "bpf_tracing.h")
_KERNEL_HEADERS = tuple(f"{above}{folder}/" for above in ("", "uapi/") for folder in ("linux", "asm", "asm-generic"))


class HeaderKinds(NamedTuple):
    """The headers that a program names: vmlinux.h, UAPI ones or clang's own, and some that can't be told by name."""

    vmlinux: bool
    uapi: bool
    unknown: bool


def header_kinds(
    source: str,
    include_dirs: Iterable[str],
    read: Callable[[str], str | None],
    libbpf: Collection[str],
    normalized: Callable[[str], str] = os.path.normpath,
) -> HeaderKinds:
    """Returns what a source and the project's headers that it includes name, behind a false condition as well.

    `read(path)` gives a project file's text, or None where there is none, or where it has still to be made; `libbpf`
    are the names of libbpf's headers.
    """
    dirs, seen, queue = list(include_dirs), {source}, [source]
    vmlinux = uapi = unknown = False
    while queue:
        path = queue.pop()
        text = read(path)
        if text is None:
            unknown = True
            continue
        known = directives(text)
        unknown |= _includes_by_macro(text)
        for reference in known.references:
            name = os.path.normpath(reference.name)
            if name == VMLINUX_H:
                vmlinux = True
                continue
            places = [os.path.dirname(path)] if reference.quoted else []
            candidates = (normalized(os.path.join(place, reference.name)) for place in [*places, *dirs])
            found = next((each for each in candidates if read(each) is not None), None)
            if found is not None:
                queue += [] if found in seen or reference.word.endswith("embed") else [found]
                seen.add(found)
            elif name in libbpf:
                uapi |= os.path.basename(name) not in _WITHOUT_KERNEL_HEADERS
            elif name in FREESTANDING or name in LIBC_HEADERS or name.startswith(_KERNEL_HEADERS):
                uapi = True
            else:
                unknown |= reference.word in ("include", "include_next", "import")
    return HeaderKinds(vmlinux, uapi, unknown)


@functools.lru_cache(maxsize=4096)
def _includes_by_macro(text: str) -> bool:
    """Returns True if a text may include a file whose name is a macro's."""
    return bool(re.search(r"#[ \t]*(?:include|include_next|import)[ \t]+\w", text))
