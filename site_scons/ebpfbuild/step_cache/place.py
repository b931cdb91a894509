"""Names what the two kinds of caches have in common: a folder `ac` of results and a folder `cas` of files."""

from typing import NamedTuple, Protocol

RESULTS, FILES = "ac", "cas"  # as Bazel's remote cache calls them: results by an action's digest, files by their own


class PlaceError(Exception):
    """A place of a cache that can't be used: the text says why. `writing` is True if it may still be read."""

    def __init__(self, reason: str, writing: bool = False):
        self.reason, self.writing = reason, writing
        super().__init__(reason)


class UnfitEntryError(Exception):
    """An entry that is not what it should be; the text says what it is."""


class Entry(NamedTuple):
    """Where an entry lies: in RESULTS or FILES, under 64 hex digits."""

    kind: str
    digest: str


class Place(Protocol):
    """Holds entries. Threads may share it. Each method raises PlaceError where the place can't be used.

    inlines  how many bytes a file may have to be put into the results that name it as well: 0 is none
    """

    inlines: int

    @property
    def shown(self) -> str:
        """The place as messages name it."""

    def get(self, entry: Entry, limit: int) -> bytes | None:
        """Returns an entry's bytes as they lie there, None where there is none.

        Raises UnfitEntryError for more than `limit` bytes, and for what is no file.
        """

    def put(self, entry: Entry, data: bytes) -> None:
        """Puts an entry there, in the place of an older one."""

    def set_aside(self, entry: Entry) -> str:
        """Takes an entry out, for a person to look at; returns where it lies now, empty where it stays."""
