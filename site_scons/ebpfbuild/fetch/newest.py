"""Finds the package that took the place of one which Debian's pool has dropped, in the lists that apt keeps."""

import re
from collections.abc import Iterator
from pathlib import Path

from ..archive.unpack import Unpacked, format_at
from ..errors import ArchiveError
from ..files import read_regular

LISTS = "var/lib/apt/lists"
MAX_LIST = 256 << 20  # bytes of a list, packed or not: that of a whole Debian has 50 MB
CHUNK = 1 << 20


def newest_package(pool: str, machine: Path = Path("/")) -> str:
    """Returns the newest pool path of a package like that of `pool`, by apt's lists; empty where they have none.

    Like it are those of the same source and arch whose names differ in numbers alone, as a kernel's do. Those of
    Debian's security archive lie in pool/updates.
    """
    folder, name = pool.rpartition("/")[::2]
    pattern = _pattern(folder, name)
    found = {path for text in _lists(machine) for path in pattern.findall(text)}
    return max(found - {pool}, key=_numbers, default="")


def _pattern(folder: str, name: str) -> re.Pattern[str]:
    package, _, rest = name.partition("_")
    alike = r"[\d.]+".join(re.escape(part) for part in re.split(r"\d[\d.]*", package))
    arch = re.escape(rest.rpartition("_")[2])
    place = "pool/(?:updates/)?" + re.escape(folder.removeprefix("pool/").removeprefix("updates/"))
    return re.compile(rf"^Filename: ({place}/{alike}_[^/\s_]+_{arch})$", re.MULTILINE)


def _numbers(path: str) -> list[tuple[int, str]]:
    """Returns what sorts versions as people do: numbers by their value, the text between them as it is."""
    version = path.rpartition("/")[2].split("_")[1]
    return [(int(number or 0), text) for text, number in re.findall(r"(\D*)(\d*)", version)]


def _lists(machine: Path) -> Iterator[str]:
    """Yields the text of apt's lists of packages, a piece that ends with a line at a time."""
    for path in sorted((machine / LISTS).glob("*_Packages*")):
        try:
            data = read_regular(path, MAX_LIST)
            form = format_at(data)
            yield from (
                _pieces(Unpacked(data, form, limit=MAX_LIST)) if form else iter([data.decode("utf-8", "replace")])
            )
        except (OSError, ArchiveError):
            continue


def _pieces(stream: Unpacked) -> Iterator[str]:
    left = b""
    while part := stream.read(CHUNK):
        whole, end, rest = (left + part).rpartition(b"\n")
        yield (whole + end).decode("utf-8", "replace")
        left = rest
    yield left.decode("utf-8", "replace")
