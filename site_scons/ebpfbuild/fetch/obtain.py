"""Obtains pinned artifacts from wherever they are: the store, the mirror, the origin, and last an alternate.

Nothing leaves this module whose sha256 is not the pinned one.
"""

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, TypeVar

from ..archive.members import read_members
from ..console import Reporter
from ..errors import FetchError, HurriedError, MismatchError, ShortageError
from ..files import MAX_FILE_SIZE, open_regular
from ..pins.pins import ArtifactSource, HeaderPin, TreePin
from ..shortage import shortage_fix
from . import apt
from . import places as sources
from .mirror import checked_mirror
from .options import FetchOptions
from .places import CACHE, Place
from .refusals import incomplete_pin, is_gone, unreachable
from .store import CHUNK, Incoming, Store, sha256sums, store_of_this_run
from .verify import Wanted, verify

MAX_KERNEL_FILE = 1 << 30  # bytes: a package has up to 120 MB, a vmlinux with its DWARF 500

Got = TypeVar("Got")


@dataclass(frozen=True)
class Obtained:
    """A verified header: `path` is in the store, `source` as declared, `via` where it came from this time."""

    path: Path
    source: str
    sha256: str
    size: int
    kernel: str
    alternate: bool
    via: str


@dataclass(frozen=True)
class ObtainedTree:
    """Verified files by name, in the store. `source` is a declared one: all of them have these bytes."""

    files: Mapping[str, Path]
    source: str
    sha256: str
    via: str


def obtain_header(pin: HeaderPin, options: FetchOptions, report: Reporter) -> Obtained:
    """Returns the pinned header or, where it can't be had, an alternate, with a notice.

    A release takes no alternate. Raises PinError for a pin without sha256, MismatchError, OfflineError, FetchError with
    each source tried, ArchiveError and CacheError.
    """
    search = _Search(options, report)
    found, reasons = _first_header(search, pin)
    if not found and search.hurried:
        search.patient = True
        found, reasons = _first_header(search, pin)
    if not found:
        raise unreachable(pin, pin.source, options, reasons)
    if found.alternate:
        report.notice(
            f"took the alternate of Linux {found.kernel} from {found.source}, since {pin.title} "
            f"can't be had ({'; '.join(dict.fromkeys(reasons))})"
        )
    return found


def _first_header(search: "_Search", pin: HeaderPin) -> tuple[Obtained | None, list[str]]:
    """Returns the first of a pin and its alternates that can be had, if any, and why those before it can't."""
    reasons: list[str] = []
    headers = (pin, *(() if search.options.release else pin.alternates))
    for i, header in enumerate(headers):
        search.later = headers[i + 1 :]
        try:
            path, via = search.header(header)
        except MismatchError:
            raise
        except FetchError as error:
            if not header.sha256 and not header.given:
                raise incomplete_pin(header, error) from None
            reasons += error.details
            continue
        size, sha256 = path.stat().st_size, header.sha256 or path.name  # the store's files are called by their digest
        return Obtained(path, header.source.shown, sha256, size, header.kernel, header is not pin, via), reasons
    return None, reasons


def obtain_tree(pin: TreePin, options: FetchOptions, report: Reporter) -> ObtainedTree:
    """Returns the pinned files, from the first of the sources that can be reached. Raises as obtain_header does."""
    search = _Search(options, report)
    try:
        try:
            return search.tree(pin)
        except FetchError:
            if not search.hurried:
                raise
            search.patient = True
            return search.tree(pin)
    except MismatchError:
        raise
    except FetchError as error:
        if not error.details:
            raise
        if not pin.sha256:
            raise incomplete_pin(pin, error) from None
        raise unreachable(pin, pin.sources[0], options, error.details) from None


class _StoredHeader(NamedTuple):
    """A header in the store, and what a person calls the place that it came from."""

    path: Path
    via: str


class _Search:
    """The search for one artifact: in the store, then at the places that the options allow.

    `later` are the pins that may take this one's place. `hurried` says that a place was given up early, since others
    were left: once they all have failed, a `patient` round asks each as if it were the last one.
    """

    def __init__(self, options: FetchOptions, report: Reporter):
        self.options, self.report = options, report
        self.store = Store(options.cache, report.notice)
        self.mirror = checked_mirror(options.mirror)
        self.later: Sequence[HeaderPin] = ()
        self.hurried = self.patient = False
        self._left, self._spent = 0, 0.0  # places behind the one that is asked, seconds that those before it took

    def header(self, pin: HeaderPin) -> _StoredHeader:
        """Returns the header, now in the store. Raises FetchError with a reason per place."""
        if not pin.sha256:
            return self._from_first_place((pin.source,), lambda place: self._header_from(place, pin))
        if pin.source.in_project:
            had = self.store.get(pin.sha256)
            if had and self._may_stand_in(pin, (pin.source,)):
                return _StoredHeader(had, CACHE)
            return self._from_first_place((pin.source,), lambda place: self._header_from(place, pin))
        with self._missing(pin.sha256, pin.title, self.store.get) as had:
            if had:
                return _StoredHeader(had, CACHE)
            return self._from_first_place((pin.source,), lambda place: self._header_from(place, pin), pin.sha256)

    def tree(self, pin: TreePin) -> ObtainedTree:
        """Returns the tree. Raises FetchError with a reason per place."""
        if not pin.sha256:
            return self._from_first_place(pin.sources, lambda place: self._tree_from(place, pin))
        own = [source for source in pin.sources if source.in_project]
        there = [source for source in own if not is_gone(source)]
        trees = [self._from_first_place((source,), lambda place: self._tree_from(place, pin)) for source in there]
        if trees:
            return trees[0]
        with self._missing(pin.sha256, pin.title, self.store.tree) as had:
            usable = had if had and set(had) == set(pin.files) else None
            if usable and (len(own) < len(pin.sources) or self._may_stand_in(pin, own)):
                return ObtainedTree(usable, pin.sources[0].shown, pin.sha256, CACHE)
            return self._from_first_place(pin.sources, lambda place: self._tree_from(place, pin), pin.sha256)

    def _may_stand_in(self, pin: HeaderPin | TreePin, own: Sequence[ArtifactSource]) -> bool:
        """Returns True if the store may stand in for files of the project's own: all are gone, and it is no release."""
        if self.options.release or not all(is_gone(source) for source in own):
            return False
        missing = " and ".join(source.shown for source in own)
        self.report.notice(
            f"{missing} is gone: took {pin.title} from the cache, by its sha256; RELEASE=1 wants the file"
        )
        return True

    def _from_first_place(
        self, declared: tuple[ArtifactSource, ...], use: Callable[[Place], Got], digest: str | None = None
    ) -> Got:
        """Returns what `use` makes of the first place that has the bytes, whose `digest` a mirror may name them by.

        The places are those in the cache, the mirror's, the origins'.
        """
        offline = self.options.offline
        archives = () if offline or all(it.kind != "pool" for it in declared) else apt.archives(self.options.machine)
        places = [place for source in declared for place in self._cached_archive(source)]
        places += self._places(declared, archives, digest)
        reasons = []
        for i, place in enumerate(places):
            self._left, began = len(places) - i - 1, time.monotonic()
            try:
                return use(place)
            except MismatchError:
                raise
            except FetchError as error:
                self.hurried |= isinstance(error, HurriedError)
                self._spent += time.monotonic() - began
                reasons.append(f"{place.shown}: {error.what}")
        reasons += filter(None, (sources.reason_unasked(source, archives, offline) for source in declared))
        raise FetchError("no source can be reached", details=tuple(reasons))

    def _places(
        self, declared: tuple[ArtifactSource, ...], archives: tuple[str, ...], digest: str | None
    ) -> list[Place]:
        """Returns the mirror's places and the origins'."""
        offline = self.options.offline
        places: list[Place] = []
        for source in declared:
            places += sources.mirror_places(source, digest, self.mirror, offline)
            digest = None  # the bytes are the same, whichever source they are of: asked for once
        return places + [place for source in declared for place in sources.origin_places(source, archives, offline)]

    def _count_others(self) -> int:
        """Counts the places that are left, should the one that is asked fail; none in a patient round."""
        if self.patient:
            return 0
        archives = apt.archives(self.options.machine) if any(pin.source.kind == "pool" for pin in self.later) else ()
        cached = sum((self.store.blobs / pin.sha256).exists() for pin in self.later if pin.sha256)
        return self._left + cached + sum(len(self._places((pin.source,), archives, pin.sha256)) for pin in self.later)

    def _cached_archive(self, source: ArtifactSource) -> tuple[Place, ...]:
        own = source.in_project and (self.options.release or not is_gone(source))
        path = self.store.get(source.archive_sha256) if source.archive_sha256 and not own else None
        return (Place(source, path, CACHE, source.shown),) if path else ()

    @contextmanager
    def _missing(self, digest: str, title: str, get: Callable[[str], Got | None]) -> Iterator[Got | None]:
        """Yields the store's copy, or None with the lock held: then it is the caller's turn to fetch."""
        had = get(digest)
        if had:
            yield had
            return
        with self.store.lock(digest, title, self.options.network.check_interrupt):
            yield get(digest)

    def _keeper(self, place: Place) -> Store:
        """Returns the store that keeps a place's bytes.

        A file of the project's is at hand in each build, so where this user can't write the store it does without.
        """
        return self.store if self.store.is_writable() or not place.source.in_project else store_of_this_run()

    def _header_from(self, place: Place, pin: HeaderPin) -> _StoredHeader:
        source = pin.source
        itself = source.btf and pin.sha256 and source.archive_sha256 == pin.sha256  # a BTF as it stands there
        inside, made = ("", False) if place.by_digest or itself else (source.inside, source.btf)
        name = (inside or source.name).rsplit("/", 1)[-1]
        own = source.in_project
        wanted = Wanted(pin.title, name, pin.where, pin.sha256, pin.size, in_project=own, key=f"{pin.prefix}sha256")
        data = self._archive(place, pin.title, f"{pin.prefix}input_sha256") if inside or made else b""
        where = source.where if pin.given else f"{source.where}: {place.shown}"
        if made:
            from .from_btf import made_of_kernel  # with all that reads kernels, which few pins need

            kernel = made_of_kernel(data, where, pin)
            also = f'{pin.prefix}input_sha256 = "{hashlib.sha256(data).hexdigest()}"'
            wanted = replace(wanted, also=(also,), varies=kernel.varies)
        with self._keeper(place).incoming() as incoming:
            if made:
                incoming.write(kernel.data)
            elif inside:
                incoming.write(read_members(data, [inside], where)[inside])
            else:
                self._receive(place, incoming, wanted)
            if not pin.given:
                verify(incoming, wanted, place.shown)
            path = incoming.keep()
        if place.via != CACHE:
            self.report.done(pin.title, incoming.size, place.via)
        return _StoredHeader(path, place.via)

    def _tree_from(self, place: Place, pin: TreePin) -> ObtainedTree:
        if place.by_digest:
            return self._tree_by_digests(place, pin)
        members = {name: f"{place.source.inside}/{name}" for name in pin.files}
        data = self._archive(place, pin.title)
        found = read_members(data, members.values(), f"{place.source.where}: {place.shown}")
        store = self._keeper(place)
        files = {name: store.add(found[member]) for name, member in members.items()}
        with store.incoming() as listing:
            listing.write(sha256sums({name: path.name for name, path in files.items()}))
            name, own = f"{pin.key}.sha256sums", place.source.in_project
            verify(listing, Wanted(pin.title, name, pin.where, pin.sha256, in_project=own), place.shown)
            listing.keep()
        if place.via != CACHE:
            self.report.done(pin.title, len(data), place.via)
        return ObtainedTree(files, place.source.shown, listing.sha256, place.via)

    def _tree_by_digests(self, place: Place, pin: TreePin) -> ObtainedTree:
        """Returns the tree whose list a place holds, and whose files lie beside it."""
        listing = pin.sha256 or ""
        self._blob(place, listing, f"the list of {pin.title}", pin)
        for name, digest in (self.store.listed(listing) or {}).items():
            if self.store.get(digest) is None:
                self._blob(place.of_digest(digest), digest, f"{name} of {pin.title}", pin)
        files = self.store.tree(listing)
        if files is None or set(files) != set(pin.files):
            raise FetchError("lists other files than the pin does")
        self.report.done(pin.title, sum(path.stat().st_size for path in files.values()), place.via)
        return ObtainedTree(files, place.source.shown, listing, place.via)

    def _blob(self, place: Place, digest: str, title: str, pin: TreePin) -> None:
        wanted = Wanted(title, digest, pin.where, digest)
        with self.store.incoming() as incoming:
            self._receive(place, incoming, wanted)
            verify(incoming, wanted, place.shown)
            incoming.keep()

    def _archive(self, place: Place, title: str, key: str = "archive_sha256") -> bytes:
        """Returns a place's bytes whole; `key` is what toolchain.toml calls their digest."""
        source, digest = place.source, place.source.archive_sha256
        if not digest or (source.in_project and place.via != CACHE):
            with self._keeper(place).incoming() as incoming:
                self._receive_verified(place, incoming, title, key)
                data = incoming.data()
                if digest:
                    incoming.keep()
                return data
        with self._missing(digest, source.name, self.store.get) as had:
            if had:
                return had.read_bytes()
            with self.store.incoming() as incoming:
                self._receive_verified(place, incoming, title, key)
                return incoming.keep().read_bytes()

    def _receive_verified(self, place: Place, incoming: Incoming, title: str, key: str) -> None:
        source = place.source
        wanted = Wanted(
            f"{source.name} with {title}",
            source.name,
            source.where,
            source.archive_sha256,
            digest_optional=True,
            in_project=source.in_project,
            key=key if source.btf else "archive_sha256",
            most=MAX_KERNEL_FILE if source.btf else MAX_FILE_SIZE,
        )
        self._receive(place, incoming, wanted)
        verify(incoming, wanted, place.shown)

    def _receive(self, place: Place, incoming: Incoming, wanted: Wanted) -> None:
        if isinstance(place.at, Path):
            return copy_file(place.at, incoming, wanted.limit)
        try:
            self.options.network.fetch(
                place.at,
                incoming,
                wanted.limit,
                wanted.size,
                lambda done, total: self.report.progress(wanted.title, done, total),
                self._count_others(),
                self._spent,
                self.options.login if place.of_mirror else None,
                wanted.sha256,
            )
        finally:
            self.report.stopped(wanted.title)


def copy_file(path: Path, incoming: Incoming, limit: int) -> None:
    """Copies a regular file `into` the store, cut soon after `limit` bytes.

    Raises FetchError, ShortageError and CacheError.
    """
    try:
        with open_regular(path, max(limit, MAX_FILE_SIZE)) as file:
            while chunk := file.read(CHUNK):
                incoming.write(chunk)
                if incoming.size > limit:
                    incoming.cut = True
                    return
    except FileNotFoundError:
        raise FetchError("is not there") from None
    except OSError as error:
        if fix := shortage_fix(error):
            raise ShortageError(error.strerror or "", where=str(path), fix=fix) from None
        raise FetchError(f"can't be read: {error.strerror}") from None
