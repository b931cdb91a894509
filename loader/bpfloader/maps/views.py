"""Views of a map's entries that are read in batches: quicker than a look-up for each key, as Python's own would do."""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, ValuesView
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from .hash import KeyedMap

K = TypeVar("K")
V = TypeVar("V")


class Items(ItemsView[K, V]):
    """What `items` of a map gives."""

    def __init__(self, shown: KeyedMap[K, V]):
        super().__init__(shown)
        self._shown = shown

    def __iter__(self) -> Iterator[tuple[K, V]]:
        return self._shown.entries()


class Values(ValuesView[V]):
    """What `values` of a map gives."""

    def __init__(self, shown: KeyedMap[Any, V]):
        super().__init__(shown)
        self._shown = shown

    def __iter__(self) -> Iterator[V]:
        return (value for _, value in self._shown.entries())
