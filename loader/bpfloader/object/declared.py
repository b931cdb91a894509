"""The maps of a skeleton's class, before any object is opened: `Execs.maps.counts.open("/sys/fs/bpf/counts")`."""

from __future__ import annotations

import os
from typing import Any, NoReturn

from ..map.base import Map


class DeclaredMaps:
    """The attribute `maps` of an object's class. An object has its own, which hides it."""

    def __get__(self, instance: Any, kind: Any) -> _MapsOf:
        return _MapsOf(kind)


class _MapsOf:
    """The maps that a class declares, each by its attribute or its name."""

    def __init__(self, skeleton: Any):
        self._skeleton = skeleton

    def __getattr__(self, attribute: str) -> DeclaredMap:
        if attribute.startswith("__"):  # Python looks for such names itself
            raise AttributeError(attribute)
        return DeclaredMap(self._skeleton, attribute)

    def __getitem__(self, name: str) -> DeclaredMap:
        return DeclaredMap(self._skeleton, name)

    def __repr__(self) -> str:
        return f"<the maps that {self._skeleton.__name__} declares>"


class DeclaredMap:
    """A map that a class declares: `open` gives one that exists, with the declared types."""

    def __init__(self, skeleton: Any, name: str):
        self._skeleton, self._name = skeleton, name

    def open(self, source: str | os.PathLike[str] | int) -> Map:
        """Opens a map by its pin, name or id as Map.open does; reads the skeleton's object for its declaration.

        Raises as Object.open and Map.open do, AttributeError for a map that the class doesn't declare.
        """
        with self._skeleton.open() as opened:
            declared: Map | None = vars(opened.maps).get(self._name)
            return (opened.maps[self._name] if declared is None else declared).open(source)

    def __getattr__(self, attribute: str) -> NoReturn:
        what = f"{self._skeleton.__name__}.maps.{self._name} is no map yet and has no {attribute}"
        raise AttributeError(f"{what}; call open(path) on it, or {self._skeleton.__name__}.open() and load")

    def __repr__(self) -> str:
        return f"<the map {self._name} that {self._skeleton.__name__} declares>"
