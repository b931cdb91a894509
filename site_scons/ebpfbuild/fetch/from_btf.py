"""Makes a vmlinux.h, or BTF alone, of a kernel's file that was fetched, or that lies on this machine."""

from typing import NamedTuple

from ..c_header.header import header_of
from ..kernel_image.open_btf import DWARF, kernel_btf, open_btf, parse_kernel_btf
from ..pins.pins import HeaderPin, KernelBtfPin

OTHER_PAHOLE = (
    "another pahole numbers the types otherwise: take the one that made the pinned BTF, a MIRROR= that has it, or pin "
    "what this one made"
)


class MadeOfKernel(NamedTuple):
    """The bytes that were made of a kernel's file, and why another machine may make others; empty for no reason."""

    data: bytes
    varies: str = ""


def made_of_kernel(data: bytes, where: str, pin: HeaderPin) -> MadeOfKernel:
    """Returns what a pin wants of a kernel's bytes: its BTF or its header; a module's is read on that of its kernel.

    Raises KernelImageError, ArchiveError, ElfError and BtfError with `where`.
    """
    source, found = pin.source, kernel_btf(data, where, pin.source.inside)
    if isinstance(pin, KernelBtfPin):
        parse_kernel_btf(found, where)
        return MadeOfKernel(found.data, OTHER_PAHOLE if found.inside == DWARF else "")
    base = open_btf(source.files[1]) if len(source.files) > 1 else None
    return MadeOfKernel(header_of(parse_kernel_btf(found, where, base)).encode())
