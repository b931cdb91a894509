"""Lists the places of a declared source in the order in which they are asked; touches neither disk nor network."""

from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from ..escape import without_secrets
from ..pins.pins import ArtifactSource
from .store import BLOBS

CACHE = "the cache"


@dataclass(frozen=True)
class Place:
    """A place that may have a source's bytes: a URL, or a path of this machine.

    `via` is what a person calls it, `shown` the place itself as errors have it, without what may be a password; of the
    cache, whose file names tell nobody anything, the source's. `by_digest` places hold the file itself, out of any
    archive, named by its sha256.
    """

    source: ArtifactSource
    at: str | Path
    via: str
    shown: str
    of_mirror: bool = False
    by_digest: bool = False

    def of_digest(self, digest: str) -> "Place":
        """Returns the place of another file of a mirror that names files by their digests."""
        at = self.at.with_name(digest) if isinstance(self.at, Path) else f"{self.at.rpartition('/')[0]}/{digest}"
        return replace(self, at=at, shown=f"{self.shown.rpartition('/')[0]}/{digest}")


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


def mirror_places(
    source: ArtifactSource, digest: str | None, mirror: str | Path | None, offline: bool
) -> tuple[Place, ...]:
    """Returns the places below the mirror, if there is a mirror that may be asked: offline, only a folder may.

    A mirror is laid out as the origins are, or as the store is: `digest` is that of the file or of the list of a tree.
    """
    if mirror is None or source.kind == "path" or (offline and not isinstance(mirror, Path)):
        return ()
    below = [below_mirror(source), *([f"{BLOBS}/{digest}"] if digest else [])]
    shown = str(mirror) if isinstance(mirror, Path) else without_secrets(mirror)
    return tuple(
        Place(
            source,
            mirror / path if isinstance(mirror, Path) else f"{mirror}/{path}",
            f"the mirror {shown}",
            f"{shown}/{without_secrets(path)}",
            of_mirror=True,
            by_digest=path is not below[0],
        )
        for path in below
    )


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
