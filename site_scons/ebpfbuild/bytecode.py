"""Has Python believe the bytecode of this project's own modules by their sources' content, never by an mtime.

A step's signature holds the digest of the code that it runs. Python itself takes a .pyc for that code where the
source's size and mtime, in whole seconds, are those of an older one: the step would be made anew by the old code, and
count as made by the new. Where times are fixed, as in unpacked archives, that is any edit that leaves the size.
"""

import os
import sys
from importlib.machinery import SOURCE_SUFFIXES, FileFinder, SourceFileLoader
from importlib.util import source_hash
from typing import Any

CHECKED_HASH = 0b11  # PEP 552: by the source's hash, which is looked at. Such a file stays one, whoever imports it
HEAD = 16  # bytes: magic number, flags, and the source's hash or its mtime and size


class ContentLoader(SourceFileLoader):
    """Reads no .pyc that is to be believed by its source's mtime, and writes what is believed by its hash."""

    _source = b""

    def get_data(self, path: str) -> bytes:
        """Returns a file's bytes. Raises OSError, which has Python compile the source."""
        data = super().get_data(path)
        if not path.endswith(".pyc"):
            self._source = data
        elif data[4:8] == bytes(4):
            raise OSError("believed by its source's mtime")
        return data

    def set_data(self, path: str, data: Any, *, _mode: int = 0o666) -> None:
        """Writes bytecode, where that is possible, of the source that was read last."""
        code = bytes(data)
        if code[4:8] == bytes(4):
            code = code[:4] + CHECKED_HASH.to_bytes(4, "little") + source_hash(self._source) + code[HEAD:]
        super().set_data(path, code, _mode=_mode)


def believe_by_content(folder: str) -> None:
    """Has all that is imported from below a folder from now on be what its source says."""
    find, top = FileFinder.path_hook((ContentLoader, SOURCE_SUFFIXES)), os.path.realpath(folder)

    def below(path: str) -> bool:
        return os.path.join(os.path.realpath(path), "").startswith(os.path.join(top, ""))

    def hook(path: str) -> FileFinder:
        if not below(path):
            raise ImportError(path)
        return find(path)  # type: ignore[return-value]

    sys.path_hooks.insert(0, hook)
    for path in filter(below, list(sys.path_importer_cache)):
        del sys.path_importer_cache[path]
