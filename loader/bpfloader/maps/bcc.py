"""Methods by their names in bcc's tables, for code that comes from bcc."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any


class BccTable:
    """bcc's methods for many entries at once. A base of the maps with keys."""

    def items_lookup_batch(self) -> Iterator[tuple[Any, Any]]:
        """Yields all entries: `batch`."""
        return iter(self.batch())  # type: ignore[attr-defined]

    def items_lookup_and_delete_batch(self) -> Iterator[tuple[Any, Any]]:
        """Yields all entries and deletes them: `drain`."""
        return iter(self.drain())  # type: ignore[attr-defined]

    def items_update_batch(self, keys: Iterable[Any], values: Iterable[Any]) -> None:
        """Sets a value for each key: `update`."""
        self.update(zip(keys, values))  # type: ignore[attr-defined]

    def items_delete_batch(self, keys: Iterable[Any] | None = None) -> None:
        """Deletes these keys, or all of them: `delete`, `clear`."""
        self.clear() if keys is None else self.delete(keys)  # type: ignore[attr-defined]
