"""Takes kernels out of a package: the boot image or vmlinux that a .deb or .rpm holds, the BTF in a tar of BTFHub."""

import re
from collections.abc import Callable, Iterator
from typing import BinaryIO, NamedTuple, cast

from ..archive.members import AR_MAGIC, MALFORMED, Tar, deb_data
from ..archive.rpm import RPM_MAGIC, cpio_files, rpm_payload
from ..archive.unpack import Unpacked, format_at
from ..errors import ArchiveError
from .boot_formats import MAX_KERNEL_SIZE

# Of Debian, Fedora, SUSE, Arch, and of what the kernel's `make bindeb-pkg` and `make binrpm-pkg` write.
KERNEL_NAME = re.compile(r"(?:^|/)(?:vmlinu[xz]|Image|zImage|bzImage)(?:-[^/]+?)?(?:\.(?:gz|xz|zst|lz4|bz2|lzma))?$")
BTF_NAME = re.compile(r"\.btf$")  # of BTFHub
TAR_MAGIC_AT, TAR_MAGIC = 257, b"ustar"  # POSIX's and GNU's
MAGICS = (0, AR_MAGIC), (0, RPM_MAGIC), (TAR_MAGIC_AT, TAR_MAGIC)
MAX_PACKAGE_SIZE = 4 << 30  # bytes of its files, unpacked; reading ends with the kernel


class Member(NamedTuple):
    """A file of a package."""

    name: str
    data: bytes


def is_package(data: bytes) -> bool:
    """Returns True for the first bytes of a .deb, an .rpm, or a tar that isn't compressed."""
    return any(bytes(data[at : at + len(magic)]) == magic for at, magic in MAGICS)


def package_members(data: bytes, member: str = "") -> Iterator[Member]:
    """Yields the kernels of a package; the one file that is named `member`, where one is.

    Raises ArchiveError for a damaged package.
    """
    for name, size, read in package_files(data):
        if name != member if member else not (KERNEL_NAME.search(name) or BTF_NAME.search(name)):
            continue
        if size > MAX_KERNEL_SIZE:
            raise ArchiveError(f"holds {name} with {size} bytes, more than {MAX_KERNEL_SIZE}")
        yield Member(name, read())


def package_files(data: bytes) -> Iterator[tuple[str, int, Callable[[], bytes]]]:
    """Yields each file of a package: its name, its size, and a function that reads it before the next is yielded.

    Raises ArchiveError for a damaged package.
    """
    if bytes(data[: len(RPM_MAGIC)]) == RPM_MAGIC:
        return _rpm_files(data)
    return _tar_files(deb_data(data) if bytes(data[: len(AR_MAGIC)]) == AR_MAGIC else data)


def _tar_files(packed: bytes) -> Iterator[tuple[str, int, Callable[[], bytes]]]:
    stream = Unpacked(packed, format_at(packed), limit=MAX_PACKAGE_SIZE)
    try:
        with Tar.open(fileobj=cast(BinaryIO, stream), mode="r|") as tar:
            for info in tar:
                file = tar.extractfile(info) if info.isreg() else None
                if file:
                    yield info.name.removeprefix("./"), info.size, file.read
    except ArchiveError:
        raise
    except MALFORMED as error:
        raise ArchiveError(f"is no archive that can be read: {error}") from None


def _rpm_files(data: bytes) -> Iterator[tuple[str, int, Callable[[], bytes]]]:
    for name, size, reader in cpio_files(rpm_payload(data, MAX_PACKAGE_SIZE), MAX_KERNEL_SIZE):
        yield name, size, reader.read
