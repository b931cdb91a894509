"""Reads files out of a .tar.gz, .tar.xz or .deb into memory; nothing is ever unpacked to disk.

The bytes may come from anywhere: whatever is malformed, too large or points outside is an ArchiveError.
"""

import tarfile
from collections.abc import Callable, Collection
from typing import Any, BinaryIO, NamedTuple, cast

from ..errors import ArchiveError
from .unpack import Unpacked, format_at

MAX_MEMBER_SIZE = 64 << 20  # bytes of one file: kernel headers have 1 to 4 MB
MAX_NAME_SIZE = 1 << 16  # bytes of a member's long name or pax headers, which tarfile reads whole
MAX_HEADERS = 100  # about one member, each read within the one before; and pax headers about all

AR_MAGIC = b"!<arch>\n"
AR_HEADER = 60

# Types of members that are headers about the next one, or about all.
_OF_THE_NEXT = (
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
)

# tarfile promises only TarError, but passes on what its parts raise on malformed numbers, names and streams.
MALFORMED = (tarfile.TarError, EOFError, OSError, ValueError, ArithmeticError, LookupError)


def read_members(
    data: bytes, wanted: Collection[str], where: str = "", limit: int = MAX_MEMBER_SIZE
) -> dict[str, bytes]:
    """Returns the wanted files' bytes by name, out of a tar (plain, gz, xz) or a .deb, told apart by their first bytes.

    Raises ArchiveError if one is missing, is no regular file, is there twice or is larger than `limit`.
    """
    found = read_matching(data, frozenset(wanted).__contains__, where, limit)
    missing = sorted(set(wanted) - set(found))
    if missing:
        raise ArchiveError(f"holds no {missing[0]}", where=where, fix="look at its list of files and correct the pin")
    return found


def read_matching(
    data: bytes, is_wanted: Callable[[str], bool], where: str = "", limit: int = MAX_MEMBER_SIZE
) -> dict[str, bytes]:
    """Returns the bytes of all files whose name is wanted, by name. Raises ArchiveError as read_members does."""
    try:
        if data.startswith(AR_MAGIC):
            data = deb_data(data)
        return _regular_files(Unpacked(data, format_at(data)), is_wanted, limit)
    except ArchiveError as error:
        raise ArchiveError(error.what, where=where, fix=error.fix) from None
    except MALFORMED as error:
        raise ArchiveError(f"is no archive that can be read: {error}", where=where) from None


def deb_data(data: bytes) -> bytes:
    """Returns the compressed data.tar of a .deb: an ar archive, as deb(5) describes it. Raises ArchiveError."""
    members = ar_members(data)
    if not members or members[0].name != "debian-binary" or not members[0].content.startswith(b"2."):
        raise ArchiveError("is an ar archive but no Debian package of format 2")
    tars = [each.content for each in members if each.name.split(".")[:2] == ["data", "tar"]]
    if len(tars) != 1:
        raise ArchiveError(f"is a Debian package with {len(tars)} data.tar members, not one")
    return tars[0]


class ArMember(NamedTuple):
    """A member of an ar archive."""

    name: str
    content: bytes


def ar_members(data: bytes) -> list[ArMember]:
    """Returns the members of an ar archive, in order. Format: ar(5). Raises ArchiveError."""
    if bytes(data[: len(AR_MAGIC)]) != AR_MAGIC:  # it may be mapped
        raise ArchiveError("is no ar archive")
    members, at = [], len(AR_MAGIC)
    while at < len(data):
        header = data[at : at + AR_HEADER]
        size = header[48:58].rstrip(b" ")
        if len(header) < AR_HEADER or header[58:] != b"`\n" or not size.isdigit():
            raise ArchiveError(f"has a damaged ar header at byte {at}")
        at += AR_HEADER
        if at + int(size) > len(data):
            raise ArchiveError("is cut short")
        name = header[:16].rstrip(b" ").removesuffix(b"/").decode("ascii", "replace")
        members.append(ArMember(name, data[at : at + int(size)]))
        at += int(size) + int(size) % 2  # members begin at even bytes
    return members


class Member(tarfile.TarInfo):
    """A member of a Tar: its headers fill no memory, while tarfile reads whatever they say of names and holes."""

    def _proc_member(self, tar: Any) -> Any:
        """Returns the member that these 512 bytes, or the headers behind them, are about, as tarfile asks for it.

        tarfile reads each header of one member within the one before, which no public method sees in all of its
        releases. Raises ArchiveError, and tarfile's.
        """
        if self.type in _OF_THE_NEXT and self.size > MAX_NAME_SIZE:
            raise ArchiveError(f"holds a name or headers of {self.size} bytes, more than {MAX_NAME_SIZE}")
        tar.headers += 1
        if tar.headers > MAX_HEADERS or len(tar.pax_headers) > MAX_HEADERS:
            raise ArchiveError(f"holds more than {MAX_HEADERS} headers about one member or about all")
        member = super()._proc_member(tar)  # type: ignore[misc]
        tar.headers = 0
        return member

    def _refuse_sparse(self, *args: Any) -> Any:
        raise ArchiveError("holds a sparse file, whose list of holes isn't read")

    _proc_sparse = _proc_gnusparse_00 = _proc_gnusparse_01 = _proc_gnusparse_10 = _refuse_sparse


class Tar(tarfile.TarFile):
    """A tar whose members are Members; `headers` counts those of the member that is read."""

    tarinfo = Member
    headers = 0


def _regular_files(stream: Unpacked, is_wanted: Callable[[str], bool], limit: int) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    with Tar.open(fileobj=cast(BinaryIO, stream), mode="r|") as tar:
        for member in tar:
            name = member.name.removeprefix("./")
            if name.startswith("/") or ".." in name.split("/"):
                raise ArchiveError(f"holds {name!r}, which points outside of it")
            if not is_wanted(name):
                continue
            if name in found:
                raise ArchiveError(f"holds {name} twice")
            if not member.isreg():
                raise ArchiveError(f"holds {name} as a link, folder or device, not as a file")
            if member.size > limit:
                raise ArchiveError(f"holds {name} with {member.size} bytes, more than {limit}")
            file = tar.extractfile(member)
            content = file.read() if file else b""
            if len(content) != member.size:
                raise ArchiveError(f"is cut short inside {name}")
            found[name] = content
    while stream.read(1 << 20):
        pass  # gzip and xz check their sums only at the end
    return found
