"""Makes a vmlinux.h of a kernel's file that was fetched, or that lies on this machine."""

from ..c_header.header import header_of
from ..kernel_image.open_btf import kernel_btf, open_btf, parse_kernel_btf
from ..pins.pins import ArtifactSource


def header_of_kernel(data: bytes, where: str, source: ArtifactSource) -> bytes:
    """Returns the header of a kernel's bytes; a module's are read on those of its kernel.

    Raises KernelImageError, ArchiveError, ElfError and BtfError with `where`.
    """
    base = open_btf(source.files[1]) if len(source.files) > 1 else None
    return header_of(parse_kernel_btf(kernel_btf(data, where, source.inside), where, base)).encode()
