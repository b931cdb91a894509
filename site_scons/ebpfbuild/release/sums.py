"""Writes and reads SHA256SUMS: a line `<sha256>  <path>` for each file, by path, as sha256sum prints them."""

import hashlib
import re
from collections.abc import Mapping

from ..errors import PaperError

SUMS = "SHA256SUMS"
# sha256sum writes a name with a backslash or a line end otherwise; a package has none.
_LINE = re.compile(r"([0-9a-f]{64})  ([^\n\\]+)")


def sha256(data: bytes) -> str:
    """Returns a sha256 in hex."""
    return hashlib.sha256(data).hexdigest()


def sums(digests: Mapping[str, str]) -> bytes:
    """Returns the bytes of the file for sha256 by path."""
    return "".join(f"{digests[path]}  {path}\n" for path in sorted(digests)).encode()


def read_sums(data: bytes, where: str) -> dict[str, str]:
    """Returns the sha256 by path. Raises PaperError for a line that is none, and for a path that stands twice."""
    found: dict[str, str] = {}
    lines = data.decode("utf-8", "surrogateescape").split("\n")
    for number, line in enumerate(lines[:-1] if lines[-1] == "" else lines, 1):
        match = _LINE.fullmatch(line)
        if match is None or match[2] in found:
            what = "is no line of sha256sum's" if match is None else f"names {match[2]} a second time"
            raise PaperError(what, where=f"{where}:{number}", fix="copy the release again")
        found[match[2]] = match[1]
    return found
