"""Keeps what is made of packages for the next run, in files that tell by themselves whether they are whole."""

import contextlib
import hashlib
from collections.abc import Callable
from pathlib import Path

from ..errors import OutputError
from ..files import read_regular, write_file

DIGEST = 64  # characters of the sha256 in front
MAX_SIZE = 1 << 30


class Derived:
    """A folder of derived files, each under the digest of what it is made of; a damaged one is made anew."""

    def __init__(self, folder: Path):
        self._folder = folder

    def get(self, key: str, make: Callable[[], bytes]) -> bytes:
        """Returns what is kept under a key, else what `make` returns, which is kept."""
        path = self._folder / key
        with contextlib.suppress(OSError):
            data = read_regular(path, MAX_SIZE)
            if data[:DIGEST] == _digest(memoryview(data)[DIGEST:]):
                return data[DIGEST:]
        made = make()
        with contextlib.suppress(OSError, OutputError):  # a full disk doesn't keep a guest from booting
            write_file(path, _digest(made) + made)
        return made


def _digest(data: bytes | memoryview) -> bytes:
    return hashlib.sha256(data).hexdigest().encode()
