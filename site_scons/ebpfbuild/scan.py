"""Which project files a BPF source includes, found as clang would find them."""

import os
import re
from collections.abc import Callable, Iterable

from .errors import CompileError

_INCLUDE = re.compile(r'^[ \t]*#[ \t]*(?:include|include_next|import)[ \t]*(["<])([^">\n]+)[">]', re.MULTILINE)
_ASKED = re.compile(r'__has_include(?:_next)?[ \t]*\([ \t]*(["<])([^">\n]+)[">]')


def included_names(text: str) -> list[tuple[bool, str]]:
    """The names that a source includes, as (quoted, name), then those that it asks for by `__has_include`.

    Those behind an `#if` count as well; a file that is only asked for changes the object by being there.
    """
    return [(quote == '"', name) for pattern in (_INCLUDE, _ASKED) for quote, name in pattern.findall(text)]


def project_headers(
    source: str, include_dirs: Iterable[str], read: Callable[[str], str | None], pinned: Callable[[str], bool]
) -> list[str]:
    """The paths of the project's own headers that `source` includes, directly or not, sorted.

    `read(path)` gives a file's text or None if there is none; asking it for every place that clang would try is what
    makes a new header that shadows an old one count. `pinned(name)` says that a name belongs to a pinned artifact: it is not
    looked into, and a project file of that name is refused, for it would be compiled in its stead. Raises CompileError.
    """
    found: dict[str, str] = {}
    queue = [(source, read(source) or "")]
    while queue:
        path, text = queue.pop()
        if ".incbin" in text:
            raise _unseen(path)
        for quoted, name in included_names(text):
            places = ([os.path.dirname(path)] if quoted else []) + list(include_dirs)
            for candidate in (os.path.normpath(os.path.join(place, name)) for place in places):
                if candidate in found:
                    break
                included = read(candidate)
                if included is not None:
                    if pinned(name):
                        raise _shadows(candidate, name, path)
                    found[candidate] = included
                    queue.append((candidate, included))
                    break
    found.pop(source, None)
    return sorted(found)


def _unseen(path: str) -> CompileError:
    return CompileError(
        "uses .incbin, which reads a file that no depfile tells of",
        where=path,
        fix="take #embed or an array: an input that the build can't see would leave a stale object",
    )


def _shadows(candidate: str, name: str, path: str) -> CompileError:
    return CompileError(
        f"would be compiled instead of the pinned {name} that {path} includes",
        where=candidate,
        fix='delete it; or, to use it, pin it with path = "…" in toolchain.toml',
    )
