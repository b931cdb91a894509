"""Holds an object that is linked with others, names it in messages, and refuses what none of them defines."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from ..btf.reader import Btf
from ..btf.types import Kind
from ..elf.reader import Elf
from ..errors import LinkError

KERNEL_SECTIONS = (".ksyms", ".kconfig")  # what they declare, the running kernel defines


class Part(NamedTuple):
    """An object to link: the source that it was made of, and its bytes."""

    source: str
    data: bytes


def sources(parts: Iterable[Part], fits: Callable[[Elf], bool]) -> str:
    """Returns the sources whose objects fit, as messages name them: `a.bpf.c, b.bpf.c and c.bpf.c`. Raises ElfError."""
    found = [part.source for part in parts if fits(Elf.parse(part.data, part.source))]
    return " and ".join(filter(None, [", ".join(found[:-1]), *found[-1:]]))


def require_defined(data: bytes, parts: Sequence[Part], where: str) -> None:
    """Raises LinkError, with a line for each further name, if a linked object lacks what one of its parts uses.

    libbpf links such an object, and never opens it.
    """
    elf = Elf.parse(data, where)
    lacking = [name for name in elf.undefined if name not in _names_of_the_kernel(elf)]
    if not lacking:
        return
    first, *others = (f"{name}, which {sources(parts, lambda elf: name in elf.undefined)} uses" for name in lacking)
    raise LinkError(
        f"no source defines {first}",
        where=where,
        fix="name the source that does as well, or declare it __ksym if the kernel does",
        details=tuple(others),
    )


def _names_of_the_kernel(elf: Elf) -> set[str]:
    """Returns the names that an object expects of the kernel."""
    section = elf.section(".BTF")
    if section is None:
        return set()
    btf = Btf.parse(section.data, elf.where)
    found = (btf.find(name, Kind.DATASEC) for name in KERNEL_SECTIONS)
    return {btf[entry.type].name for datasec in found if datasec for entry in datasec.variables}
