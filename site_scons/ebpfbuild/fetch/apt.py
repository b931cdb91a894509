"""Lists the archives that this machine's own apt is set up for: a pool path is looked up below each of them.

Formats: sources.list(5), one-line and deb822 style; mirror lists: apt-transport-mirror(1).
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from ..files import read_regular

FOLDER = "etc/apt"
MAX_LIST_SIZE = 1 << 20  # bytes of a list: apt's own have some hundred


class Entry(NamedTuple):
    """An entry of apt's for binary packages: URI, suite and components, of which a flat repository has none."""

    uri: str
    suite: str
    components: list[str]


def archives(root: Path = Path("/")) -> tuple[str, ...]:
    """Returns the base URLs, each once, of the archives that may have a pool, Debian's own first.

    Empty where there is no apt. A file that can't be read is passed over, as is a flat repository, a CD and whatever
    wants a password.
    """
    found: dict[str, int] = {}
    for entry in _entries(root / FOLDER):
        if entry.suite.endswith("/") or not entry.components:
            continue  # a flat repository has no pool
        for url in _urls(entry.uri, root):
            rank = 0 if urlsplit(url).path.rstrip("/").endswith("/debian") else 1 if "main" in entry.components else 2
            found[url] = min(rank, found.get(url, rank))
    return tuple(sorted(found, key=lambda url: found[url]))  # stable: within a rank the order of the files


def _entries(folder: Path) -> Iterator[Entry]:
    """Yields the entries of all of apt's files."""
    parts = sorted((folder / "sources.list.d").glob("*"))
    for path in [folder / "sources.list", *parts]:
        style = {".list": _one_line, ".sources": _deb822}.get(path.suffix)
        if style:
            yield from style(_text(path))


def _one_line(text: str) -> Iterator[Entry]:
    for line in text.splitlines():
        words = line.partition("#")[0].replace("[", " [ ").replace("]", " ] ").split()
        if "[" in words and "]" in words:
            words = words[: words.index("[")] + words[words.index("]") + 1 :]
        if len(words) >= 3 and words[0] == "deb":
            yield Entry(words[1], words[2], words[3:])


def _deb822(text: str) -> Iterator[Entry]:
    for stanza in _stanzas(text):
        if "deb" not in stanza.get("types", "").split():
            continue
        if stanza.get("enabled", "yes").strip().lower() in ("no", "false", "without", "off", "disable", "0"):
            continue
        for uri in stanza.get("uris", "").split():
            for suite in stanza.get("suites", "").split():
                yield Entry(uri, suite, stanza.get("components", "").split())


def _stanzas(text: str) -> Iterator[dict[str, str]]:
    stanza: dict[str, str] = {}
    name = ""
    for line in [*text.splitlines(), ""]:
        if line.startswith("#"):
            continue
        if not line.strip():
            if stanza:
                yield stanza
            stanza, name = {}, ""
        elif line[0] in " \t":
            if name:
                stanza[name] += f" {line}"
        else:
            name, _, value = line.partition(":")
            name = name.strip().lower()
            stanza[name] = value


def _urls(uri: str, root: Path) -> list[str]:
    if uri.startswith("mirror+file:"):
        listing = _text(root / uri.removeprefix("mirror+file:").lstrip("/"))
        uris = [line.split()[0] for line in listing.splitlines() if line.split()]
    else:
        uris = [uri]
    return [url.rstrip("/") for url in uris if _is_plain(url)]


def _is_plain(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.username is None
    except ValueError:
        return False


def _text(path: Path) -> str:
    try:
        return read_regular(path, MAX_LIST_SIZE).decode("utf-8", "replace")
    except OSError:
        return ""
