"""Which project files a BPF source includes, found as clang would find them."""

import os
from collections.abc import Callable, Iterable, Iterator

from ..errors import CompileError
from .directives import ASKING, PRAGMAS, Directives, Named, directives, lexed, line_of, pasted

_ALL_PLACES = ("include_next", "__has_include_next")  # which folder comes next depends on where the file itself was found


def included_names(text: str) -> list[tuple[bool, str]]:
    """The names that a source includes or asks for by `__has_include`, as (quoted, name).

    Those behind an `#if` count as well; a file that is only asked for changes the object by being there.
    """
    return [(named.quoted, named.name) for named in directives(text).named]


def project_headers(
    source: str,
    include_dirs: Iterable[str],
    read: Callable[[str], str | None],
    pinned: Callable[[str], bool],
    plain: Callable[[str], str] = os.path.normpath,
    depends: Iterable[str] = (),
    pinned_dir: str = "",
) -> list[str]:
    """The paths of the project's own files that `source` includes, embeds or asks for, directly or not, sorted.

    `read(path)` gives a file's text or None if there is none; asking it for every place that clang would try is what
    makes a new header that shadows an old one count. `pinned(name)` says that a name belongs to a pinned artifact: a project
    file of that name is refused, for it would be compiled in its stead. `pinned_dir` is the folder of pinned headers, searched last:
    what they include is followed, for it may be the project's, but they themselves aren't named. `plain(path)` is the
    path of the same file without `..`. `depends` are files that are included in a way that can't be read; what would
    shadow them counts. Raises CompileError.
    """
    scan = _Scan(list(include_dirs), read, pinned, plain, pinned_dir)
    scan.add(source, read(source) or "")
    for path in depends:
        scan.add(path, read(path) or "")
    scan.run()
    scan.check_pasting()
    shadows = {path for path in scan.shadows(depends) if read(path) is not None}
    return sorted((scan.found | shadows) - {source, *depends})


class _Scan:
    """The files found so far, and those whose directives are still to be followed."""

    def __init__(self, include_dirs, read, pinned, plain, pinned_dir):
        self.include_dirs, self.read, self.pinned, self.plain = include_dirs, read, pinned, plain
        self.pinned_dir = pinned_dir
        self.found: set[str] = set()
        self.texts: dict[str, str] = {}
        self.pieces: dict[str, frozenset[str]] = {}

    def add(self, path: str, text: str) -> None:
        """Notes a file whose directives count."""
        self.found.add(path)
        self.texts[path] = text

    def run(self) -> None:
        """Follows the directives of all files, and of those that they lead to."""
        queue = list(self.texts)
        while queue:
            path = queue.pop()
            known = directives(self.texts[path])
            self._check(path, known)
            self.pieces[path] = known.pieces
            for named in known.named:
                for candidate, text in self._files(named, path):
                    if not self._is_pinned(candidate):
                        self.found.add(candidate)
                    if not named.word.endswith("embed") and candidate not in self.texts:
                        self.texts[candidate] = text
                        queue.append(candidate)

    def _files(self, named: Named, path: str) -> Iterator[tuple[str, str]]:
        """The file that a directive names, with its text; each that there is where it can't be told which it is."""
        places = [os.path.dirname(path)] if named.quoted else []
        if not named.word.endswith("embed"):  # that looks in no include folder
            places += [*self.include_dirs, self.pinned_dir] if self.pinned_dir else self.include_dirs
        for place in places:
            candidate = self.plain(os.path.join(place, named.name))
            text = self.texts[candidate] if candidate in self.texts else self.read(candidate)
            if text is None:
                continue
            if candidate not in self.found and not self._is_pinned(candidate):
                self._check_place(candidate, named, path, place)
            yield candidate, text
            if named.word not in _ALL_PLACES:
                return

    def _is_pinned(self, path: str) -> bool:
        return bool(self.pinned_dir) and path.startswith(f"{self.pinned_dir}{os.sep}")

    def shadows(self, depends: Iterable[str]) -> Iterator[str]:
        """The places at which a file would be found instead of one of `depends`, included by a name that can't be read."""
        places = {*self.include_dirs, *(os.path.dirname(path) for path in self.texts)}
        for path in depends:
            names = {path[len(place) + 1 :] for place in places if path.startswith(f"{place}/")} | {path}
            yield from {self.plain(os.path.join(place, name)) for place in places for name in names}

    def _check(self, path: str, known: Directives) -> None:
        if known.unreadable:
            raise _unasked(self._where(path, "unreadable", known.unreadable[0]), known.unreadable[0])
        if named := next((named for named in known.named if named.name.startswith("/")), None):
            raise _absolute(self._where(path, "named", named), named)

    def _where(self, path: str, part: str, item: object) -> str:
        """`file:line` of what a text's directives hold."""
        return f"{path}:{line_of(self.texts[path], lambda found: item in getattr(found, part))}"

    def check_pasting(self) -> None:
        """Refuses pieces of a word that asks for a file, which `##` could join without a trace."""
        begun = frozenset().union(*self.pieces.values())
        if not any(ask.startswith(piece) for ask in ASKING for piece in begun):
            return
        pieces = {path: lexed(text).pieces for path, text in self.texts.items()}
        if word := pasted(frozenset().union(*pieces.values())):
            where = max(pieces, key=lambda path: len(pieces[path]))
            raise _unreadable(where, f"holds pieces that ## can make {word} of")

    def _check_place(self, candidate: str, named: Named, path: str, place: str) -> None:
        if self.pinned(os.path.normpath(named.name)):
            raise _shadows(candidate, named.name, path)
        spelt = os.path.normpath(os.path.join(place, named.name))
        if candidate.startswith(("/", "../")) and spelt.startswith(("/", "../")):
            raise _outside(self._where(path, "named", named), named)


def _unasked(where: str, word: str) -> CompileError:
    if word in PRAGMAS:
        what = f"holds {word}, by which clang looks for a file that the build doesn't know"
        return CompileError(what, where=where, fix="leave it out, and #include the file that is meant")
    return _unreadable(where, f"asks for a file by {word} without its name")


def _unreadable(where: str, what: str) -> CompileError:
    return CompileError(
        f"{what}, so a file that appears or goes would rebuild nothing",
        where=where,
        fix='write the word and the name where it asks: #if __has_include("name.h")',
    )


def _absolute(where: str, named: Named) -> CompileError:
    verb = "asks for" if named.word in ASKING else f"{named.word}s"
    return CompileError(
        f"{verb} {named.name}, an absolute path, which is another file on each machine",
        where=where,
        fix="copy the file into the project and name it from there; include_dirs= says where headers are searched",
    )


def _outside(where: str, named: Named) -> CompileError:
    return CompileError(f"{named.name} is outside of the project", where=where, fix="copy it into the project")


def _shadows(candidate: str, name: str, path: str) -> CompileError:
    return CompileError(
        f"would be compiled instead of the pinned {name} that {path} includes",
        where=candidate,
        fix='delete it; or, to use it, pin it with path = "…" in toolchain.toml',
    )
