"""Finds the project files that a BPF source includes, as clang would find them."""

import os
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from ..errors import CompileError
from .directives import directives, pasted
from .references import HAS_OPERATORS, PRAGMAS, Directives, FileReference

# Which folder comes next depends on where the file itself was found.
_ALL_PLACES = ("include_next", "__has_include_next")


class IncludedFiles(NamedTuple):
    """The paths of the project's own files that a source includes, and of the pinned headers, both sorted."""

    own: list[str]
    pinned: list[str]


def included_files(
    source: str,
    include_dirs: Iterable[str],
    read: Callable[[str], str | None],
    pinned: Callable[[str], bool],
    normalized: Callable[[str], str] = os.path.normpath,
    depends: Iterable[str] = (),
    pinned_dirs: Iterable[str] = (),
    resolved: "Resolved | None" = None,
    made: Callable[[str], bool] = lambda path: False,
) -> IncludedFiles:
    """Returns the files that `source` includes, embeds or asks for, directly or not.

    `read(path)` gives a file's text or None if there is none; asking it for every place that clang would try is what
    makes a new header that shadows an old one count. `pinned(name)` says that a name belongs to a pinned artifact: a
    project file of that name is refused, for it would be compiled in its stead. `pinned_dirs` are the folders of pinned
    headers, searched last: what they include is followed, for it may be the project's. `resolved` keeps what each
    file leads to, for the next source with the same folders. `normalized(path)` is the path of the same file without
    `..`. `depends` are files that are included in a way that can't be read; what would shadow them counts. `made(path)`
    tells of a file outside of the project if the build makes it. Raises CompileError.
    """
    depends = list(depends)
    memo: Resolved = {} if resolved is None else resolved
    scan = _IncludeScan(list(include_dirs), read, pinned, normalized, tuple(pinned_dirs), memo, made)
    scan.add(source, read(source) or "")
    for path in depends:
        scan.add(path, read(path) or "")
    scan.run()
    scan.check_pasting()
    shadows = {path for path in scan.shadows(depends) if read(path) is not None} if depends else set()
    own = sorted((scan.found | shadows) - {source, *depends})
    return IncludedFiles(own, sorted(path for path in scan.texts if scan.is_pinned(path)))


class NamedFile(NamedTuple):
    """A file that a directive leads to, its text, and whether it is only embedded."""

    path: str
    text: str
    embedded: bool


# By a file's path, the pieces in its text (see Directives) and what its directives lead to.
Resolved = dict[str, tuple[frozenset[str], list[NamedFile]]]


class _IncludeScan:
    """The files found so far, and those whose directives are still to be followed."""

    def __init__(
        self,
        include_dirs: list[str],
        read: Callable[[str], str | None],
        pinned: Callable[[str], bool],
        normalized: Callable[[str], str],
        pinned_dirs: tuple[str, ...],
        resolved: Resolved,
        made: Callable[[str], bool],
    ):
        self.include_dirs, self.read, self.pinned, self.normalized = include_dirs, read, pinned, normalized
        self.pinned_dirs, self.resolved, self.made = pinned_dirs, resolved, made
        self._below = tuple(f"{folder}{os.sep}" for folder in pinned_dirs)
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
            for target in self._targets(queue.pop()):
                if not self.is_pinned(target.path):
                    self.found.add(target.path)
                if not target.embedded and target.path not in self.texts:
                    self.texts[target.path] = target.text
                    queue.append(target.path)

    def _targets(self, path: str) -> list[NamedFile]:
        """Returns the files that a text's directives lead to."""
        if path not in self.resolved:
            known = directives(self.texts[path])
            self._check(path, known)
            found = (
                NamedFile(*each, reference.word.endswith("embed"))
                for reference in known.references
                for each in self._files(reference, path)
            )
            self.resolved[path] = known.pieces, list(found)
        self.pieces[path], targets = self.resolved[path]
        return targets

    def _files(self, reference: FileReference, path: str) -> Iterator[tuple[str, str]]:
        """Yields the file that a directive names, with its text.

        Where it can't be told which file that is, yields each that there is.
        """
        places = [os.path.dirname(path)] if reference.quoted else []
        if not reference.word.endswith("embed"):  # that looks in no include folder
            places += [*self.include_dirs, *self.pinned_dirs]
        for place in places:
            candidate = self.normalized(os.path.join(place, reference.name))
            text = self.texts[candidate] if candidate in self.texts else self.read(candidate)
            if text is None:
                continue
            if candidate not in self.found and not self.is_pinned(candidate):
                self._check_place(candidate, reference, path, place)
            yield candidate, text
            if reference.word not in _ALL_PLACES:
                return

    def is_pinned(self, path: str) -> bool:
        """Returns True if a path is that of a pinned header."""
        return path.startswith(self._below)

    def shadows(self, depends: Iterable[str]) -> Iterator[str]:
        """Yields the places at which a file would be found instead of one of `depends`.

        Those are included by names that can't be read.
        """
        places = {*self.include_dirs, *(os.path.dirname(path) for path in self.texts)}
        for path in depends:
            names = {path[len(place) + 1 :] for place in places if path.startswith(f"{place}/")} | {path}
            yield from {self.normalized(os.path.join(place, name)) for place in places for name in names}

    def _check(self, path: str, known: Directives) -> None:
        if known.unreadable:
            raise _nameless(self._where(path, "unreadable", known.unreadable[0]), known.unreadable[0])
        if reference := next((reference for reference in known.references if reference.name.startswith("/")), None):
            raise _absolute(self._where(path, "references", reference), reference)

    def _where(self, path: str, part: str, item: object) -> str:
        """Returns `file:line` of an item of a text's directives."""
        from .lexer import line_of

        return f"{path}:{line_of(self.texts[path], lambda found: item in getattr(found, part))}"

    def check_pasting(self) -> None:
        """Refuses pieces of a word that asks for a file, which `##` could join without a trace."""
        begun = frozenset().union(*self.pieces.values())
        if not any(ask.startswith(piece) for ask in HAS_OPERATORS for piece in begun):
            return
        from .lexer import lexed

        pieces = {path: lexed(text).pieces for path, text in self.texts.items()}
        if word := pasted(frozenset().union(*pieces.values())):
            where = max(pieces, key=lambda path: len(pieces[path]))
            raise _unreadable(where, f"holds pieces that ## can make {word} of")

    def _check_place(self, candidate: str, reference: FileReference, path: str, place: str) -> None:
        if self.pinned(os.path.normpath(reference.name)):
            raise _shadows(candidate, reference.name, path)
        spelt = os.path.normpath(os.path.join(place, reference.name))
        outside = candidate.startswith(("/", "../")) and spelt.startswith(("/", "../"))
        if outside and not self.made(candidate):
            raise _outside(self._where(path, "references", reference), reference)


def _nameless(where: str, word: str) -> CompileError:
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


def _absolute(where: str, reference: FileReference) -> CompileError:
    verb = "asks for" if reference.word in HAS_OPERATORS else f"{reference.word}s"
    return CompileError(
        f"{verb} {reference.name}, an absolute path, which is another file on each machine",
        where=where,
        fix="copy the file into the project and name it from there; include_dirs= says where headers are searched",
    )


def _outside(where: str, reference: FileReference) -> CompileError:
    return CompileError(f"{reference.name} is outside of the project", where=where, fix="copy it into the project")


def _shadows(candidate: str, name: str, path: str) -> CompileError:
    fix = 'delete it; or, to use it, pin it with path = "…" in toolchain.toml'
    if name.startswith("bpf/"):
        fix = (
            "delete it, or give its folder another name than bpf; "
            "another libbpf's headers are pinned in [libbpf] of toolchain.toml"
        )
    return CompileError(
        f"would be compiled instead of the pinned {name} that {path} includes", where=candidate, fix=fix
    )
