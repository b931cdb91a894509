"""Keeps indexes of full headers between runs, and explains by them a compile that failed."""

import contextlib
import hashlib
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from ..errors import CompileError, HeaderError, OutputError
from ..files import folder_like, read_regular, write_file
from .explain import GNU_DIALECT, explain
from .explain_uapi import clash
from .index import INDEX_FORMAT, Index, dump_index, index_header, load_index
from .libbpf_headers import LibbpfNames


class IndexCache:
    """Indexes of full headers: in memory for this run, in the artifact store for the next.

    Others can write into the store as well, so an index there is believed by a digest that this project recorded
    itself. `fact(key, find)`, a Ledger's, returns the JSON object kept under a key, or keeps what `find()` gives;
    `code` is the digest of what makes an index.
    """

    def __init__(
        self, folder: Path, fact: Callable[[str, Callable[[], Mapping[str, str]]], Mapping[str, str]], code: str = ""
    ):
        self._folder, self._fact, self._code = folder, fact, code
        self._indexes: dict[str, Index] = {}
        self._lock = threading.Lock()

    def get(self, header: Path, sha256: str) -> Index:
        """Returns the index of a header whose digest is known. Raises HeaderError, OSError."""
        with self._lock:
            if sha256 not in self._indexes:
                self._indexes[sha256] = self._stored_or_made(header, sha256)
            return self._indexes[sha256]

    def _stored_or_made(self, header: Path, sha256: str) -> Index:
        """Returns the stored index if it holds just the bytes that this project once wrote, or makes it anew."""
        path = self._folder / "index" / f"{sha256}-{INDEX_FORMAT}"
        made: list[Index] = []

        def make() -> Mapping[str, str]:
            made.append(_index_of(header))
            data = dump_index(made[0])
            with contextlib.suppress(OSError, OutputError):  # a store that is read-only or full serves all the same
                self._folder.mkdir(parents=True, exist_ok=True)
                write_file(folder_like(self._folder, path.parent.name) / path.name, data)
            return {"sha256": hashlib.sha256(data).hexdigest()}

        known = self._fact(f"index {INDEX_FORMAT} {sha256} {self._code}", make).get("sha256")
        if not made:
            with contextlib.suppress(OSError, HeaderError):
                data = read_regular(path)
                if hashlib.sha256(data).hexdigest() == known:
                    return load_index(data)
            make()
        return made[0]


def _index_of(header: Path) -> Index:
    try:
        return index_header(read_regular(header).decode())
    except UnicodeDecodeError as error:
        what, fix = f"is no UTF-8 at byte {error.start}", "pin a header as bpftool writes it"
        raise HeaderError(what, where=header.name, fix=fix) from None
    except HeaderError as error:
        raise HeaderError(
            error.what, where=": ".join(filter(None, (header.name, error.where))), fix=error.fix
        ) from None


def explained(
    error: CompileError,
    index: Index | None,
    kernel: str,
    arch: str,
    libbpf: LibbpfNames,
    elsewhere: Callable[[str], str] = lambda name: "",
) -> CompileError:
    """Adds to the error of a compile, which fails with the full header too, what the headers know about it.

    `index` is None for a program that includes no vmlinux.h; `elsewhere` is as `explain` takes it.
    """
    diagnostics = [f"{error.where}: error: {error.what}", *error.details]
    if index is not None and (line := clash(diagnostics)):
        return CompileError(error.what, where=error.where, fix=line)
    if explain(index, diagnostics[:1], kernel, arch, libbpf) == [GNU_DIALECT]:  # all else follows from it
        return CompileError(error.what, where=error.where, fix=GNU_DIALECT)
    hints = explain(index, diagnostics, kernel, arch, libbpf, elsewhere)
    if not hints:
        return error
    # With the line of source; the hints may be on later errors.
    first = explain(index, diagnostics[:2], kernel, arch, libbpf, elsewhere)
    fix, *others = hints if first else ["", *hints]
    return CompileError(error.what, where=error.where, fix=fix, details=(*others, *error.details))
