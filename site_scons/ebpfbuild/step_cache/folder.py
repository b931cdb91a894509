"""Keeps a cache in a folder, laid out as a server's URLs are: `ac/<digest>` and `cas/<digest>`.

Several users may share it: what is made in it takes its group and its mode. Any file of it may be removed at any time.

    ac/<sha256 of a step's inputs>   an ActionResult
    cas/<sha256>                     the bytes with this digest
    rejected/<kind>-<digest>         what was not what it should be, for a person to look at
"""

import contextlib
import errno
import os
import tempfile
import time
from pathlib import Path

from ..files import UnfitFileError, folder_like, read_regular, share_like
from .place import Entry, PlaceError, UnfitEntryError

REJECTED = "rejected"
STALE = 86400  # seconds after which a killed build's temporary file is swept away
_INCOMING = ".incoming-"


class FolderPlace:
    """A Place in a folder, which is made with the first entry; see Place for its methods.

    In one that is `read_only` nothing is ever changed, no time either.
    """

    inlines = 0  # to open a file costs little

    def __init__(self, root: Path, read_only: bool = False):
        self._root, self._read_only = root, read_only
        self._swept: set[str] = set()

    @property
    def shown(self) -> str:
        """The folder's path."""
        return str(self._root)

    def get(self, entry: Entry, limit: int) -> bytes | None:
        """Reads a file, and sets its time of access and change, by which one that nobody uses can be told."""
        path = f"{self._root}/{entry.kind}/{entry.digest}"
        try:
            data = read_regular(path, limit)
        except FileNotFoundError:
            return None
        except UnfitFileError as error:
            raise UnfitEntryError(error.strerror) from None
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise UnfitEntryError("is a symlink that leads back to itself") from None
            raise PlaceError(f"{error.strerror}") from None
        if not self._read_only:
            with contextlib.suppress(OSError):  # another user's
                os.utime(path)
        return data

    def put(self, entry: Entry, data: bytes) -> None:
        """Writes a file whole or not at all; one that is there already may be another user's, and stays."""
        try:
            self._root.mkdir(parents=True, exist_ok=True)
            folder = folder_like(self._root, entry.kind)
            if _holds(folder / entry.digest, data):
                return
            self._sweep(folder)
            handle, name = tempfile.mkstemp(prefix=_INCOMING, dir=folder)
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(data)
                    file.flush()
                    share_like(handle, self._root, 0o444)
                self._replace(name, folder / entry.digest)
            except BaseException:
                os.unlink(name)
                raise
        except OSError as error:
            raise PlaceError(f"{error.strerror}", writing=True) from None

    def _replace(self, name: str, path: Path) -> None:
        try:
            os.replace(name, path)
        except (IsADirectoryError, NotADirectoryError):
            self.set_aside(Entry(path.parent.name, path.name))
            os.replace(name, path)

    def set_aside(self, entry: Entry) -> str:
        """Moves an entry into the folder of rejected ones."""
        if self._read_only:
            return ""
        try:
            folder = folder_like(self._root, REJECTED)
            aside = Path(tempfile.mkdtemp(prefix=f"{entry.kind}-{entry.digest[:12]}-", dir=folder), entry.digest)
            os.replace(self._root / entry.kind / entry.digest, aside)
        except OSError:  # another build was faster, or this user may not
            return ""
        return str(aside)

    def _sweep(self, folder: Path) -> None:
        """Removes what killed builds left in a folder, once a run."""
        if folder.name in self._swept:
            return
        self._swept.add(folder.name)
        for path in folder.glob(f"{_INCOMING}*"):
            with contextlib.suppress(OSError):
                if time.time() - path.stat().st_mtime > STALE:
                    path.unlink()


def _holds(path: Path, data: bytes) -> bool:
    try:
        return read_regular(path, len(data)) == data
    except OSError:
        return False
