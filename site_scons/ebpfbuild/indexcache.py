"""Indexes of full headers, kept between runs, and what they know about a compile that failed."""

import contextlib
import threading
from pathlib import Path

from .errors import CompileError, HeaderError
from .files import write_file
from .library import Library
from .minimize.explain import explain
from .minimize.index import FORMAT, Index, dump, index_header, load


class IndexCache:
    """Indexes of full headers: in memory for this run, in the artifact store for the next."""

    def __init__(self, folder: Path):
        self._folder = folder
        self._indexes: dict[str, Index] = {}
        self._lock = threading.Lock()

    def get(self, header: Path, sha256: str) -> Index:
        """The index of a header whose digest is known. Raises HeaderError."""
        with self._lock:
            if sha256 not in self._indexes:
                self._indexes[sha256] = self._stored(header, sha256)
            return self._indexes[sha256]

    def _stored(self, header: Path, sha256: str) -> Index:
        path = self._folder / "index" / f"{sha256}-{FORMAT}"
        try:
            return load(path.read_bytes())
        except (OSError, HeaderError):  # not there, or damaged: made anew
            index = _index_of(header)
        with contextlib.suppress(OSError):  # a cache that is read-only or full serves all the same
            write_file(path, dump(index))
        return index


def _index_of(header: Path) -> Index:
    try:
        return index_header(header.read_text(encoding="utf-8"))
    except HeaderError as error:
        raise HeaderError(
            error.what, where=": ".join(filter(None, (header.name, error.where))), fix=error.fix
        ) from None


def explained(error: CompileError, index: Index, kernel: str, arch: str, library: Library) -> CompileError:
    """The error of a compile that fails with the full header too, with what the headers know about it on top."""
    told = [f"{error.where}: error: {error.what}", *error.details]
    hints = explain(index, told, kernel, arch, library)
    if not hints:
        return error
    first = explain(index, told[:2], kernel, arch, library)  # with the line of source; the hints may be on later errors
    fix, *others = hints if first else ["", *hints]
    return CompileError(error.what, where=error.where, fix=fix, details=(*others, *error.details))
