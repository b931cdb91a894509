"""Verifies that bytes that arrived are the pinned ones; if not, its error says all a person needs to find out why."""

import re
from dataclasses import dataclass
from urllib.parse import urljoin

from ..errors import FetchError, MismatchError, PinError
from ..files import MAX_FILE_SIZE
from .store import Incoming


@dataclass(frozen=True)
class Wanted:
    """The bytes that are expected. `where` is the pin's.

    `digest_optional` is for an archive whose files are what is pinned, so that it needs no digest of its own;
    `in_project` for a file of the project's, which anybody may have edited. `key` is what toolchain.toml calls the
    digest, `also` are further lines to paste where there is none yet; `most` bytes are read where no size is known.
    `varies` says what else may have made other bytes of the same input.
    """

    title: str
    name: str
    where: str
    sha256: str | None = None
    size: int | None = None
    digest_optional: bool = False
    in_project: bool = False
    key: str = "sha256"
    also: tuple[str, ...] = ()
    most: int = MAX_FILE_SIZE
    varies: str = ""

    @property
    def limit(self) -> int:
        """The most bytes worth reading: of the project's own file all of them, as an error states its digest."""
        return self.most if self.in_project else self.size or self.most


def wrong_body(head: bytes, size: int) -> str:
    """Says in words why a body of `size` bytes that begins with `head` is no artifact; empty if it looks fine."""
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith((b"<!doctype html", b"<html")):
        return "an HTML page"
    if size == 0:
        return "an empty file"
    if size < 256 and re.fullmatch(rb"[\w.+/-]+\n?", head) and re.search(rb"[./]", head):
        return f"only the file name {head.decode('ascii').strip()!r}, an unresolved symlink"
    return ""


def verify(incoming: Incoming, wanted: Wanted, origin: str) -> None:
    """Accepts the bytes if they are the pinned ones. `origin` is the URL or path that they came from.

    Raises MismatchError with the body kept aside, or PinError with the lines to paste where the pin has no digest.
    """
    wrong = wrong_body(incoming.head, incoming.size)
    if wanted.sha256 and not incoming.cut:
        if incoming.sha256 == wanted.sha256 and wanted.size in (None, incoming.size):
            return
    elif not wrong and not incoming.cut:
        if wanted.digest_optional:
            return
        raise _unpinned(incoming, wanted, origin)
    if wanted.in_project and not wrong and not incoming.cut:
        raise _edited(incoming, wanted, origin)
    raise _mismatch(incoming, wanted, origin, wrong)


def _mismatch(incoming: Incoming, wanted: Wanted, origin: str, wrong: str) -> FetchError:
    what = f"what arrived is not the pinned {wanted.title}, and was not used"
    fix = wanted.varies or "look at what was kept before you change the pin"
    if wrong:
        what = f"what arrived as {wanted.title} is {wrong}, and was not used"
        fix = "open the URL in a browser: a proxy or a login page may stand before it"
        if "://" not in origin:
            fix = "replace that file: it is no copy of the artifact"
    target = re.search("file name '(.*)'", wrong)
    if target:
        fix = f"pin the file that it points to: {urljoin(origin, target[1])}"
    elif incoming.sha256 == wanted.sha256 and not incoming.cut:
        what, fix = f"{wanted.title} has its pinned sha256 but another size", f"write size = {incoming.size}"
    more = " and more that were not read" if incoming.cut else ""
    expected = f"sha256 {wanted.sha256 or 'not pinned'}, {wanted.size or 'any number of'} bytes"
    got = f"sha256 {incoming.sha256}, {incoming.size} bytes{more}"
    kept = incoming.reject(wanted.name)
    lines = (f"from      {origin}", f"expected  {expected}", f"got       {got}", f"kept      {kept}")
    return MismatchError(what, where=wanted.where, fix=fix, details=lines)


def _edited(incoming: Incoming, wanted: Wanted, origin: str) -> FetchError:
    """Returns the refusal of a file of the project's own, which is kept where it lies."""
    expected = f"expected  sha256 {wanted.sha256}, {wanted.size or 'any number of'} bytes"
    got = f"got       sha256 {incoming.sha256}, {incoming.size} bytes"
    size = (f"size = {incoming.size}",) if wanted.size else ()
    return MismatchError(
        f"{origin} does not hold the pinned {wanted.title}, and was not used",
        where=wanted.where,
        fix=wanted.varies or "put back what it held or, if you trust what it holds now, write in the pin",
        details=(expected, got, f'{wanted.key} = "{incoming.sha256}"', *size, *wanted.also),
    )


def _unpinned(incoming: Incoming, wanted: Wanted, origin: str) -> PinError:
    lines = [f'{wanted.key} = "{incoming.sha256}"']
    if wanted.title.startswith("vmlinux.h"):
        lines.append(f"size = {incoming.size}")
    lines += wanted.also
    what = f"{wanted.title} has no sha256, so what came from {origin} was not used"
    return PinError(what, where=wanted.where, fix="if you trust it, paste below this line", details=tuple(lines))
