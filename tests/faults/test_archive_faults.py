"""Archives."""

import gzip
import lzma
import resource
import tarfile

import pytest
from archives import FILES, ar, deb, tar
from artifact_world import digest
from faultserver import body
from rows import only_line, rows

from ebpfbuild.errors import ArchiveError
from ebpfbuild.archive import members, unpack
from ebpfbuild.archive.members import read_members

MEMBER = "src/a.h"


def special(kind: bytes, target: str = "", name: str = MEMBER, size: int = 0) -> tarfile.TarInfo:
    """A member that is no plain file, or that says it has more bytes than there are."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, target, size
    return info


def claiming(kind: bytes, size: int, packed=gzip.compress) -> bytes:
    """An archive whose one member says that it has `size` bytes, of which hardly any are there."""
    return packed(special(kind, size=size).tobuf(tarfile.GNU_FORMAT) + bytes(4096))


def long_name() -> bytes:
    """A header with a long name for the member that follows."""
    return special(tarfile.GNUTYPE_LONGNAME, size=5).tobuf(tarfile.GNU_FORMAT) + b"name".ljust(512, b"\0")


def with_pax(headers: dict[str, str], kind: bytes = tarfile.XHDTYPE) -> bytes:
    """An archive with pax headers before its member."""
    return gzip.compress(tarfile.TarInfo._create_pax_generic_header(headers, kind, "utf-8") + tar(mode="w"))


HOSTILE = {
    "a member with ..": (tar({**FILES, "../x": b""}), "holds '../x', which points outside of it"),
    "a member with .. within": (tar({**FILES, "src/../../x": b""}), "points outside of it"),
    "an absolute name": (tar({**FILES, "/etc/x": b""}), "holds '/etc/x', which points outside of it"),
    "a symlink": (tar({}, extra=[special(tarfile.SYMTYPE, "/etc/passwd")]), "as a link, folder or device"),
    "a hard link": (tar({}, extra=[special(tarfile.LNKTYPE, "README")]), "as a link, folder or device"),
    "a folder": (tar({}, extra=[special(tarfile.DIRTYPE)]), "as a link, folder or device"),
    "a character device": (tar({}, extra=[special(tarfile.CHRTYPE)]), "as a link, folder or device"),
    "a block device": (tar({}, extra=[special(tarfile.BLKTYPE)]), "as a link, folder or device"),
    "a FIFO": (tar({}, extra=[special(tarfile.FIFOTYPE)]), "as a link, folder or device"),
    "a member that is there twice": (tar(extra=[special(tarfile.REGTYPE)]), "holds src/a.h twice"),
    "a member that isn't there": (tar({}), "holds no src/a.h"),
    "a member larger than the limit": (tar({MEMBER: b"x" * 100_001}), "with 100001 bytes, more than 100000"),
    "a billion-byte member": (claiming(tarfile.REGTYPE, 10**9), "with 1000000000 bytes, more than 100000"),
    "a billion-byte member, xz": (claiming(tarfile.REGTYPE, 10**9, lzma.compress), "with 1000000000 bytes, more than 100000"),
    "a billion-byte name": (claiming(tarfile.GNUTYPE_LONGNAME, 10**9), "holds a name or headers of 1000000000 bytes"),
    "a billion-byte link name": (claiming(tarfile.GNUTYPE_LONGLINK, 10**9), "holds a name or headers of 1000000000 bytes"),
    "a billion-byte pax header": (claiming(tarfile.XHDTYPE, 10**9), "holds a name or headers of 1000000000 bytes"),
    "a billion-byte global pax header": (claiming(tarfile.XGLTYPE, 10**9), "holds a name or headers of 1000000000 bytes"),
    "a sparse member": (claiming(tarfile.GNUTYPE_SPARSE, 10**9), "holds a sparse file"),
    "a sparse member by pax headers": (with_pax({"GNU.sparse.major": "1", "GNU.sparse.minor": "0"}), "holds a sparse file"),
    "a name for a name, a thousand times": (gzip.compress(long_name() * 1000), "holds more than 100 headers about one member"),
    "pax headers about all, in thousands": (with_pax({f"key{number}": "x" for number in range(3000)}, tarfile.XGLTYPE), "holds more than 100 headers"),
    "a negative size": (gzip.compress(special(tarfile.REGTYPE).tobuf().replace(b"00000000000\0", b"-0000000001\0", 1)), "is no archive that can be read|holds no"),
    "no bytes": (b"", "is no archive that can be read|holds no"),
    "an HTML page": (b"<!DOCTYPE html><html></html>", "is no archive that can be read"),
    "gzip cut short": (tar()[:-20], "holds compressed data that can.t be read"),
    "xz cut short": (tar(mode="w:xz")[:-20], "holds compressed data that can.t be read"),
    "tar cut short": (tar(mode="w")[:700], "is no archive that can be read|is cut short"),
    "gzip with another checksum": (tar()[:-8] + b"1234" + tar()[-4:], "holds compressed data that can.t be read"),
    "a .deb without members": (ar([]), "no Debian package"),
    "a .deb of another format": (ar([("debian-binary", b"3.0\n")]), "no Debian package of format 2"),
    "a .deb without data": (ar([("debian-binary", b"2.0\n")]), "with 0 data.tar members"),
    "a .deb with data twice": (ar([("debian-binary", b"2.0\n"), ("data.tar.gz", tar()), ("data.tar.xz", tar())]), "with 2 data.tar members"),
    "a .deb cut short": (deb(tar())[:-100], "is cut short"),
    "a .deb with garbage behind": (deb(tar()) + b"garbage", "damaged ar header"),
    "a .deb with a negative size": (ar([("debian-binary", b"2.0\n")]).replace(b"4         `", b"-1        `"), "damaged ar header"),
}  # fmt: skip


@rows(HOSTILE)
def test_a_hostile_archive(fault):
    """One line with the pin's place; nothing is unpacked, to no disk and to little memory."""
    data, said = fault
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ArchiveError, match=said) as caught:
        read_members(data, [MEMBER], "toolchain.toml:3: libbpf", limit=100_000)
    assert only_line(caught.value).startswith("toolchain.toml:3: libbpf: ")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10  # KiB


@rows({"a small archive of a billion zeros": tarfile.REGTYPE, "a small archive of a billion zeros in a name": tarfile.GNUTYPE_LONGNAME})
def test_a_bomb(monkeypatch, fault):
    """One line: no archive unpacks to more than a limit."""
    monkeypatch.setattr(unpack, "MAX_UNPACKED_SIZE", 1 << 20)
    monkeypatch.setattr(members, "MAX_NAME_SIZE", 10**9)
    bomb = gzip.compress(special(fault, name="zeros", size=10**9).tobuf() + bytes(8 << 20))
    assert len(bomb) < 20_000
    with pytest.raises(ArchiveError, match="unpacks to more than 1048576 bytes"):
        read_members(bomb, [MEMBER])


@rows({"a pinned tree that comes in a hostile archive": tar({"libbpf/src/bpf_helpers.h": b"", "../x": b""})})
def test_a_hostile_source(world, fault):
    """One line; nothing is kept of it, and the next fetch, from a good server, gives the right files."""
    good = world.server.answers["/libbpf.tar.gz"]
    world.server.say(body(fault), path="/libbpf.tar.gz")
    with pytest.raises(ArchiveError) as caught:
        world.tree()
    assert "points outside of it" in only_line(caught.value)
    world.server.answers["/libbpf.tar.gz"] = good
    assert world.tree().files
    assert all(path.name == digest(path.read_bytes()) for path in (world.cache / "sha256").iterdir())
