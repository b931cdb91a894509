"""Packs files into a tar whose bytes depend on nothing but them: ustar (POSIX.1-1988), which every tar reads."""

import io
import tarfile
from collections.abc import Mapping

from ..errors import PackageError

MTIME = 315532800  # 1980-01-01, the wheel's date


def build_tar(folder: str, files: Mapping[str, bytes], links: Mapping[str, str]) -> bytes:
    """Returns the bytes of a tar with `files`, and hard `links` to some of them, by their paths below `folder`.

    Sorted, of mode 0644, owned by 0 without a name. Raises PackageError for a path that ustar can't hold.
    """
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        # A link comes behind what it links to, whatever their names.
        for path, data in [*sorted(files.items()), *sorted((link, None) for link in links)]:
            entry = tarfile.TarInfo(f"{folder}/{path}")
            entry.mode, entry.mtime = 0o644, MTIME
            if data is None:
                entry.type, entry.linkname = tarfile.LNKTYPE, f"{folder}/{links[path]}"
            else:
                entry.size = len(data)
            try:
                archive.addfile(entry, io.BytesIO(data or b""))
            except ValueError:
                raise PackageError(f"{path} is too long for a tar", where="files", fix="shorten a name") from None
    return out.getvalue()
