"""Looks names up in the BTF of a kernel's modules: there are a thousand, and each is parsed when it has the name."""

import struct
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from ..errors import BtfError
from .distilled import relocated
from .reader import Btf
from .types import Kind, Type


class ModuleBtf(NamedTuple):
    """A module's split BTF as it stands there, and the distilled base of one built out of the kernel's tree."""

    data: bytes
    base: bytes = b""


class Modules:
    """The BTF of the modules of the kernel whose own BTF is `base`, by their names.

    One that can't be read, or doesn't fit the kernel, holds nothing.
    """

    def __init__(self, parts: Mapping[str, ModuleBtf], base: Btf):
        self._parts, self._base = parts, base
        self._opened: dict[str, Btf | None] = {}
        self._holding: dict[str, list[str]] = {}

    def named(self, name: str, *kinds: Kind, module: str = "") -> list[Type]:
        """Returns the types of that name, by module and id; those of one `module` alone, where it is named.

        Each one's `btf.where` is its module's name.
        """
        found = []
        for each in [module] if module in self._parts else [] if module else self._that_hold(name):
            btf = self._open(each)
            found += [kind for kind in btf.named(name, *kinds) if kind.id >= btf.first] if btf else []
        return found

    def _that_hold(self, name: str) -> list[str]:
        """Returns the modules whose bytes hold a name: 30 MB are read for each, and programs ask for the same ones."""
        if name not in self._holding:
            wanted = self._written(name)
            parts = self._parts.items()
            self._holding[name] = [each for each, part in parts if any(text in part.data for text in wanted)]
        return self._holding[name]

    def _written(self, name: str) -> list[bytes]:
        """Returns what a module's bytes hold if it has a type of that name: the name, or its place in the base's."""
        text = b"\0" + name.encode("utf-8", "backslashreplace") + b"\0"
        order = "<I" if self._base.little else ">I"
        return [text, *(struct.pack(order, at + 1) for at in _places(self._base.strings, text))]

    def _open(self, name: str) -> Btf | None:
        if name not in self._opened:
            try:
                self._opened[name] = self._parsed(name)
            except BtfError:
                self._opened[name] = None
        return self._opened[name]

    def _parsed(self, name: str) -> Btf:
        part = self._parts[name]
        if not part.base:
            return Btf.parse(part.data, name, None, self._base)
        distilled = Btf.parse(part.base, name, None)
        return relocated(Btf.parse(part.data, name, None, distilled), self._base)


def _places(strings: bytes, text: bytes) -> Iterator[int]:
    at = strings.find(text)
    while at >= 0:
        yield at
        at = strings.find(text, at + 1)
