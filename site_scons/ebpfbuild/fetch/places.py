"""Lists the places of a declared source in the order in which they are asked; touches neither disk nor network."""

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from ..errors import FetchError
from ..escape import without_secrets
from ..pins.pins import ArtifactSource

CACHE = "the cache"


@dataclass(frozen=True)
class Place:
    """A place that may have a source's bytes: a URL, or a path of this machine.

    `via` is what a person calls it, `shown` the place itself as errors have it, without what may be a password; of the
    cache, whose file names tell nobody anything, the source's.
    """

    source: ArtifactSource
    at: str | Path
    via: str
    shown: str
    of_mirror: bool = False


def mirror_root(mirror: str | None) -> str | Path | None:
    """Returns the folder or base URL that MIRROR= names.

    Raises FetchError for a folder that isn't there, or no usable URL. What is refused is not repeated where it may hold
    a password: nobody knows how a misspelt URL was meant.
    """
    if not mirror:
        return None
    scheme, separator, rest = mirror.partition("://")
    if not separator or scheme == "file":
        folder = Path(unquote(rest.removeprefix("localhost")) if separator else mirror)
        if not folder.is_dir():
            what = (
                "there is no such folder" if re.search(r"[^\w\s/.,+~-]", mirror) else f"there is no folder {mirror!r}"
            )
            raise FetchError(what, where="MIRROR", fix="name a folder or a URL")
        return folder
    try:
        parts = urlsplit(mirror)
        usable = scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or parts.query or parts.fragment:
        fix = "write https://host/path or a folder"
        raise FetchError("is no URL to look below", where="MIRROR", fix=fix)
    if parts.username is not None:
        fix = "write them into ~/.netrc, or name a file with the header of a login in EBPF_MIRROR_HEADER"
        raise FetchError("holds a user name or password", where="MIRROR", fix=fix)
    return mirror.rstrip("/")


def below_mirror(source: ArtifactSource) -> str:
    """Returns the source's path below a mirror: the origin's host and path, or the pool path."""
    if source.kind == "pool":
        return source.location
    parts = urlsplit(source.location)
    return f"{parts.netloc}{parts.path}" + (f"?{parts.query}" if parts.query else "")


def reason_unasked(source: ArtifactSource, archives: tuple[str, ...], offline: bool) -> str:
    """Says why a source has no place of its own to look at; empty if it has one."""
    if source.kind == "path":
        return ""
    if offline:
        return f"{source.shown}: not asked, --offline connects to nothing"
    if source.kind == "pool" and not archives:
        return f"{source.shown}: no Debian archive in this machine's apt configuration"
    return ""


def mirror_places(source: ArtifactSource, mirror: str | Path | None, offline: bool) -> tuple[Place, ...]:
    """Returns the place below the mirror, if there is a mirror that may be asked: offline, only a folder may."""
    if mirror is None or source.kind == "path" or (offline and not isinstance(mirror, Path)):
        return ()
    below = below_mirror(source)
    at: str | Path
    if isinstance(mirror, Path):
        at, shown = mirror / below, str(mirror)
    else:
        at, shown = f"{mirror}/{below}", without_secrets(mirror)
    return (Place(source, at, f"the mirror {shown}", f"{shown}/{without_secrets(below)}", of_mirror=True),)


def origin_places(source: ArtifactSource, archives: tuple[str, ...], offline: bool) -> tuple[Place, ...]:
    """Returns the source's own places: the file, the URL, or the pool path below each of apt's archives."""
    if source.file is not None:
        return (Place(source, source.file, source.shown, str(source.file)),)
    if offline:
        return ()
    if source.kind == "url":
        return (Place(source, source.location, urlsplit(source.location).netloc, source.shown),)
    urls = ((base, f"{base}/{source.location}") for base in archives)
    return tuple(Place(source, url, urlsplit(base).netloc, without_secrets(url)) for base, url in urls)
