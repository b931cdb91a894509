"""Looks for the pinned wheel: in folders, on pages of links and in indexes, one after the other."""

import hashlib
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

from ebpfbuild.files import UnfitFileError, read_regular

from .errors import SetupError, Unavailable, one_line
from .pin import Pin
from .settings import Settings, is_remote, local_path, shown
from .web import Answer, Web

MAX_PAGE_SIZE = 8 << 20  # bytes; an index page of pip has 0.1 MB
MAX_WHEEL_SIZE = 32 << 20  # bytes; the wheel has 1.8 MB


def fetch(pin: Pin, settings: Settings, web: Web) -> bytes:
    """Returns the wheel's verified bytes, from the first place that has it.

    Raises SetupError: no place has it, each with its reason, or one has other bytes under its name.
    """
    reasons = []
    indexes = [f"{index.rstrip('/')}/pip/" for index in settings.indexes]
    for place in (*settings.find_links, *indexes):
        try:
            found, data = _look(place, pin, web)
        except Unavailable as error:
            reasons.append(f"{shown(place)}: {one_line(str(error))}")
            continue
        digest = hashlib.sha256(data).hexdigest()
        if digest != pin.sha256:
            what = f"{shown(found)} is not the {pin.wheel} that pip.lock pins, and was not used"
            raise SetupError(
                f"{what} (sha256 {digest}, not {pin.sha256}); find out who changed it before you change the pin"
            )
        return data
    raise _nowhere(pin, settings, reasons)


def _nowhere(pin: Pin, settings: Settings, reasons: list[str]) -> SetupError:
    tried = f" ({'; '.join(reasons)})" if reasons else ""
    if not settings.indexes:
        fix = f"with PIP_FIND_LINKS=FOLDER, a folder with {pin.wheel} and the other wheels"
        what = f"{pin.wheel} is not here, and nothing may be connected to{tried}"
        return SetupError(f"{what}; run this once with an index, or {fix}")
    fix = f"set PIP_INDEX_URL to an index that you reach, or PIP_FIND_LINKS to a folder with {pin.wheel}"
    return SetupError(f"{pin.wheel} can't be fetched{tried}; check the network, or {fix}")


def _look(place: str, pin: Pin, web: Web) -> Answer:
    """Returns the wheel that one folder, file or page has or links to. Raises Unavailable."""
    if not is_remote(place):
        return _look_here(local_path(place), pin, web)
    if _file_name(place) == pin.wheel:
        return Answer(place, web.read(place, MAX_WHEEL_SIZE).body)
    url, page = web.read(place, MAX_PAGE_SIZE)
    link = _link_of(page, url, pin)
    if not is_remote(link):
        raise Unavailable(f"links to {shown(link)}, which is on no web server")
    return Answer(link, web.read(link, MAX_WHEEL_SIZE).body)


def _look_here(path: Path, pin: Pin, web: Web) -> Answer:
    if not path.exists():
        raise Unavailable("is not there")
    if path.is_dir():
        wheel = path / pin.wheel
        path = wheel if wheel.exists() or not (path / "index.html").exists() else path / "index.html"
    if path.name == pin.wheel:
        return Answer(str(path), _read_file(path, MAX_WHEEL_SIZE))
    link = _link_of(_read_file(path, MAX_PAGE_SIZE), path.absolute().as_uri(), pin)
    if is_remote(link):
        return Answer(link, web.read(link, MAX_WHEEL_SIZE).body)
    return Answer(link, _read_file(local_path(link), MAX_WHEEL_SIZE))


def _link_of(page: bytes, url: str, pin: Pin) -> str:
    link = next((link for link in links(page, url) if _file_name(link) == pin.wheel), None)
    if link is None:
        raise Unavailable(f"lists no {pin.wheel}")
    return link


def _read_file(path: Path, limit: int) -> bytes:
    """Returns the bytes of a regular file: a FIFO or a device would never end. Raises Unavailable."""
    try:
        return read_regular(path, limit)
    except FileNotFoundError:
        raise Unavailable(f"holds no file {path.name}") from None
    except (OSError, ValueError) as error:
        reason = str(getattr(error, "strerror", None) or error)
        raise Unavailable(reason if isinstance(error, UnfitFileError) else f"can't be read: {reason}") from None


def _file_name(url: str) -> str:
    return unquote(url.partition("?")[0].rpartition("/")[2])


class _Links(HTMLParser):
    """The links of a page, and its <base>."""

    def __init__(self) -> None:
        super().__init__()
        self.base = ""
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keeps what an <a> or the first <base> leads to."""
        href = dict(attrs).get("href")
        if href and tag == "a":
            self.found.append(href)
        elif href and tag == "base":
            self.base = self.base or href


def links(page: bytes, url: str) -> Iterator[str]:
    """Yields the absolute URLs that a page links to, without fragments. What is no URL is passed over."""
    parser = _Links()
    try:
        parser.feed(page.decode("utf-8", "replace"))
    except AssertionError:  # html.parser's, on some malformed declarations
        return
    for href in parser.found:
        try:
            yield urlsplit(urljoin(urljoin(url, parser.base), href.strip()))._replace(fragment="").geturl()
        except ValueError:
            continue
