"""Makes tar archives and .debs in memory."""

import io
import tarfile

FILES = {"src/a.h": b"int a;\n", "src/b.h": b"int b;\n" * 1000, "README": b"read me"}


def tar(files=FILES, mode="w:gz", extra=()) -> bytes:
    """A tar archive of files, and of further TarInfo objects."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as archive_file:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive_file.addfile(info, io.BytesIO(data))
        for info in extra:
            archive_file.addfile(info)
    return out.getvalue()


def ar(members) -> bytes:
    """An ar archive of (name, bytes) pairs."""
    out = b"!<arch>\n"
    for name, data in members:
        out += b"%-16s%-12d%-6d%-6d%-8s%-10d`\n" % (name.encode(), 0, 0, 0, b"100644", len(data))
        out += data + b"\n" * (len(data) % 2)
    return out


def deb(data_tar: bytes, name: str = "data.tar.xz") -> bytes:
    """A Debian package around a data.tar."""
    return ar([("debian-binary", b"2.0\n"), ("control.tar.xz", tar({}, "w:xz")), (name, data_tar)])
