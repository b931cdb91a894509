"""An object that is linked with others, and how messages name it."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from ..elf.reader import Elf


class Part(NamedTuple):
    """An object to link: the source that it was made of, and its bytes."""

    source: str
    data: bytes


def sources(parts: Iterable[Part], fits: Callable[[Elf], bool]) -> str:
    """Returns the sources whose objects fit, as messages name them: `a.bpf.c, b.bpf.c and c.bpf.c`. Raises ElfError."""
    found = [part.source for part in parts if fits(Elf.parse(part.data, part.source))]
    return " and ".join(filter(None, [", ".join(found[:-1]), *found[-1:]]))
