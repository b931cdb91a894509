"""Where to look for a declared source, in which order: decided here, without touching disk or network."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from .errors import FetchError
from .pins import Source

CACHE = "the cache"


@dataclass(frozen=True)
class Place:
    """One place that may have a source's bytes: a URL, or a path of this machine. `via` is what a person calls it."""

    source: Source
    at: str | Path
    via: str

    @property
    def origin(self) -> str:
        """What an error names: the place itself, but for the cache, whose file names tell nobody anything."""
        return self.source.location if self.via == CACHE else str(self.at)


def mirror_root(mirror: str | None) -> str | Path | None:
    """The folder or base URL that MIRROR= names. Raises FetchError for a folder that isn't there, or no usable URL."""
    if not mirror:
        return None
    scheme, separator, rest = mirror.partition("://")
    if not separator or scheme == "file":
        folder = Path(unquote(rest.removeprefix("localhost")) if separator else mirror)
        if not folder.is_dir():
            raise FetchError(f"there is no folder {mirror!r}", where="MIRROR", fix="name a folder or a URL")
        return folder
    try:
        parts = urlsplit(mirror)
        usable = scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or parts.query or parts.fragment:
        fix = "write https://host/path or a folder"
        raise FetchError(f"{mirror!r} is no URL to look below", where="MIRROR", fix=fix)
    if parts.username is not None:
        raise FetchError("holds a user name or password", where="MIRROR", fix="take a mirror that needs none")
    return mirror.rstrip("/")


def below_mirror(source: Source) -> str:
    """The source's path below a mirror: the origin's host and path, or the pool path."""
    if source.kind == "pool":
        return source.location
    parts = urlsplit(source.location)
    return f"{parts.netloc}{parts.path}" + (f"?{parts.query}" if parts.query else "")


def unasked(source: Source, archives: tuple[str, ...], offline: bool) -> str:
    """Why a source has no place of its own to look at; empty if it has one."""
    if source.kind == "path":
        return ""
    if offline:
        return f"{source.location}: not asked, --offline connects to nothing"
    if source.kind == "pool" and not archives:
        return f"{source.location}: no Debian archive in this machine's apt configuration"
    return ""


def mirror_places(source: Source, mirror: str | Path | None, offline: bool) -> tuple[Place, ...]:
    """The place below the mirror, if there is a mirror that may be asked: offline, only a folder may."""
    if mirror is None or source.kind == "path":
        return ()
    if isinstance(mirror, Path):
        return (Place(source, mirror / below_mirror(source), f"the mirror {mirror}"),)
    return () if offline else (Place(source, f"{mirror}/{below_mirror(source)}", f"the mirror {mirror}"),)


def origin_places(source: Source, archives: tuple[str, ...], offline: bool) -> tuple[Place, ...]:
    """The source's own places: the file, the URL, or the pool path below each of apt's archives."""
    if source.kind == "path":
        return (Place(source, source.file, source.location),)
    if offline:
        return ()
    if source.kind == "url":
        return (Place(source, source.location, urlsplit(source.location).netloc),)
    return tuple(Place(source, f"{base}/{source.location}", urlsplit(base).netloc) for base in archives)
