"""The names that bcc's tables have, for those who come from bcc."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any


class BccTable:
    """What bcc's tables have for many entries at once. A base of the maps with keys."""

    def items_lookup_batch(self) -> Iterator[tuple[Any, Any]]:
        """The entries: what `items` gives, in bcc's words."""
        return iter(self.batch())  # type: ignore[attr-defined]

    def items_lookup_and_delete_batch(self) -> Iterator[tuple[Any, Any]]:
        """The entries, which are deleted: `drain`."""
        return iter(self.drain())  # type: ignore[attr-defined]

    def items_update_batch(self, keys: Iterable[Any], values: Iterable[Any]) -> None:
        """Sets a value for each key: `update`."""
        self.update(zip(keys, values))  # type: ignore[attr-defined]

    def items_delete_batch(self, keys: Iterable[Any] | None = None) -> None:
        """Deletes these keys, or all: `delete`, `clear`."""
        self.clear() if keys is None else self.delete(keys)  # type: ignore[attr-defined]
