"""Fetches the pip that pip.lock pins, with nothing but the standard library: set-up needs no ensurepip and no pip.

`python fetch_pip.py LOCK FOLDER [--offline]` leaves the verified wheel in FOLDER and prints its path. It looks where pip
itself would be told to look: the folders and pages of `find-links`, then the indexes, as pip's environment variables and
configuration files name them (https://pip.pypa.io/en/stable/topics/configuration/). An index is a "simple" one (PEP 503).
"""

import configparser
import hashlib
import http.client
import netrc
import os
import re
import ssl
import sys
import time
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, urljoin, urlsplit

DEFAULT_INDEX = "https://pypi.org/simple"  # pip's own default
PAGE_LIMIT = 8 << 20  # bytes; an index page of pip has 0.1 MB
NETRC_LIMIT = 1 << 20  # bytes
WHEEL_LIMIT = 32 << 20  # bytes; the wheel has 1.8 MB
READ_TIMEOUT = 20.0  # seconds without a byte
PATIENCE = 120.0  # seconds for one URL
TRIES = 3  # of a host that breaks off or is busy
REDIRECTS = 5

# What the standard library raises for a server's nonsense and a network's failure; URLError and SSLError are OSErrors.
_FAILURES = (OSError, http.client.HTTPException, ValueError)


class SetupError(Exception):
    """Ends set-up; the text is one line for the user."""


class Unavailable(Exception):
    """One place has no such wheel or can't be reached; the next one gets its turn. `passing`: another try may help."""

    def __init__(self, reason: str, passing: bool = False):
        self.passing = passing
        super().__init__(reason)


class Pin(NamedTuple):
    """The wheel that is wanted."""

    version: str
    sha256: str

    @property
    def wheel(self) -> str:
        """The wheel's file name."""
        return f"pip-{self.version}-py3-none-any.whl"


class Settings(NamedTuple):
    """Where pip is set up to look: `find_links` are folders, files and pages, `indexes` base URLs, none if offline.

    `cert` is a file or folder of certificates, `proxy` a URL; where they are None, the environment's usual ones count.
    `trusted` are hosts, with a port or without, whose certificates aren't asked for; `netrc` is a file of passwords.
    """

    find_links: tuple[str, ...]
    indexes: tuple[str, ...]
    cert: str | None
    proxy: str | None
    trusted: tuple[str, ...] = ()
    netrc: str | None = None

    @property
    def spoken_plainly(self) -> set[str]:
        """The hosts, with their ports, that the settings themselves name with http://."""
        places = (*self.find_links, *self.indexes)
        return {_netloc(place) for place in places if place.lower().startswith("http://")}


def read_pin(lock: Path) -> Pin:
    """Reads `pip==VERSION --hash=sha256:DIGEST`, a requirement as pip writes it. Raises SetupError."""
    try:
        text = lock.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise SetupError(f"{lock.name} can't be read: {error.strerror}; git checkout {lock.name}") from None
    found = re.search(r"^pip==([\w.]+)\s*\\?\s*--hash=sha256:([0-9a-f]{64})\s*$", text, re.MULTILINE)
    if not found:
        raise SetupError(f"{lock.name} pins no pip; write pip==VERSION --hash=sha256:DIGEST, or git checkout {lock.name}")
    return Pin(*found.groups())


def read_settings(environment: Mapping[str, str], offline: bool = False, machine: Path = Path("/")) -> Settings:
    """Collects pip's settings: an environment variable before [install] before [global], a user's file before the machine's.

    `offline` leaves no index and, of `find-links`, what lies on this machine. `machine` is the root that /etc is below.
    """
    configured: dict[str, str] = {}
    for path in _config_files(environment, machine):
        configured.update(_config(path))

    def value(name: str) -> str:
        return environment.get(f"PIP_{name.upper().replace('-', '_')}", configured.get(name, "")).strip()

    offline = offline or value("no-index").lower() in ("1", "true", "yes", "y", "on", "t")
    find_links = tuple(link for link in value("find-links").split() if not (offline and _is_remote(link)))
    indexes = () if offline else (value("index-url") or DEFAULT_INDEX, *value("extra-index-url").split())
    cert = value("cert") or environment.get("REQUESTS_CA_BUNDLE") or environment.get("CURL_CA_BUNDLE")
    trusted = tuple(value("trusted-host").lower().split())
    return Settings(find_links, indexes, cert or None, value("proxy") or None, trusted, _netrc_file(environment))


def _netrc_file(environment: Mapping[str, str]) -> str | None:
    """The file of passwords that pip reads: NETRC, else ~/.netrc or ~/_netrc (requests.utils.get_netrc_auth)."""
    home = environment.get("HOME", "")
    files = [environment["NETRC"]] if environment.get("NETRC") else [f"{home}/{name}" for name in (".netrc", "_netrc") if home]
    return next((file for file in files if os.path.isfile(file)), None)


def _config_files(environment: Mapping[str, str], machine: Path) -> list[Path]:
    """The files that pip reads on Linux, the ones that count more later."""
    named = environment.get("PIP_CONFIG_FILE", "")
    if named == os.devnull:  # pip's way to say that none counts
        return []
    shared = environment.get("XDG_CONFIG_DIRS") or "/etc/xdg"
    files = [Path(folder, "pip", "pip.conf") for folder in reversed(shared.split(":")) if folder]
    files = [machine / path.relative_to("/") for path in [*files, Path("/etc/pip.conf")] if path.is_absolute()]
    home = environment.get("HOME", "")
    if home:
        own = environment.get("XDG_CONFIG_HOME") or f"{home}/.config"
        files += [Path(home, ".pip", "pip.conf"), Path(own, "pip", "pip.conf")]
    return [*files, Path(named)] if named else files


def _config(path: Path) -> dict[str, str]:
    """The settings in one file. One that can't be read or parsed is passed over: pip will say what is wrong with it."""
    parser = configparser.RawConfigParser()
    try:
        parser.read(path, encoding="utf-8")
    except (configparser.Error, OSError, ValueError):
        return {}
    sections = [section for section in ("global", "install") if parser.has_section(section)]
    return {name.replace("_", "-"): value for section in sections for name, value in parser.items(section)}


class Web:
    """Reads URLs over http and https, and nothing else: no file, no ftp, whatever a page or a redirect says."""

    def __init__(self, settings: Settings, sleep: Callable[[float], None] = time.sleep):
        self._settings, self._sleep = settings, sleep
        self._known = _Credentials(settings)

    @cached_property
    def _opener(self) -> urllib.request.OpenerDirector:
        """Made when it is needed: a folder of wheels asks for no certificates."""
        proxy, opener = self._settings.proxy, urllib.request.OpenerDirector()
        for handler in (
            urllib.request.ProxyHandler({"http": proxy, "https": proxy} if proxy else None),
            urllib.request.HTTPHandler(),
            _Https(_context(self._settings.cert), self._settings.trusted),
            urllib.request.HTTPDefaultErrorHandler(),
            urllib.request.HTTPErrorProcessor(),
            urllib.request.UnknownHandler(),
            _Redirects(),
            self._known,
        ):
            opener.add_handler(handler)
        opener.addheaders = [("User-Agent", "scons-bpf"), ("Accept", "text/html, */*;q=0.1")]
        return opener

    def read(self, url: str, limit: int) -> tuple[str, bytes]:
        """Returns (the URL that redirects led to, the body). Raises Unavailable with the reason."""
        for attempt in range(1, TRIES + 1):
            try:
                return self._read(self._known.taken_from(url), limit)
            except Unavailable as error:
                failure = error
            except _FAILURES as error:
                failure = _failure(error)
            if not failure.passing or attempt == TRIES:
                break
            self._sleep(0.5 * attempt)
        raise failure

    def _read(self, url: str, limit: int) -> tuple[str, bytes]:
        began, body = time.monotonic(), bytearray()
        with self._opener.open(url, timeout=READ_TIMEOUT) as response:
            while chunk := response.read1(1 << 16):
                body += chunk
                if len(body) > limit:
                    raise Unavailable(f"sends more than {limit} bytes")
                if time.monotonic() - began > PATIENCE:
                    raise Unavailable(f"is too slow: {len(body)} bytes in {PATIENCE:.0f} s")
            if response.length:  # read1 takes a connection that ends early for the end
                raise Unavailable("the connection broke off", passing=True)
            return response.geturl(), bytes(body)


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to https, and from http to http."""

    max_redirections = REDIRECTS

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        scheme = urlsplit(newurl).scheme
        if scheme != "https" and (scheme, req.type) != ("http", "http"):
            raise Unavailable(f"redirects to {shown(newurl)}, and a redirect must be to https")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


class _Https(urllib.request.HTTPSHandler):
    """Asks every host for a certificate but those that pip is told to trust: the wheel's digest is pinned, whoever sends it."""

    def __init__(self, context: ssl.SSLContext, trusted: tuple[str, ...]):
        super().__init__(context=context)
        self._verified, self._trusted = context, trusted

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        """Opens one connection; behind a proxy, the request's URL still names the host itself."""
        parts = urlsplit(req.full_url)
        host = parts.netloc.lower()
        trusted = host in self._trusted or host.removesuffix(f":{parts.port}") in self._trusted
        return self.do_open(http.client.HTTPSConnection, req, context=_unverified() if trusted else self._verified)


class _Credentials(urllib.request.BaseHandler):
    """Sends the user and password of an index's URL to that host, and to no other; where there are none, .netrc's for the host.

    Those leave over plain http for a host only that the settings themselves name so, and .netrc's `default`, which is for any
    host, goes to those of the settings alone.
    """

    def __init__(self, settings: Settings) -> None:
        self._of: dict[str, str] = {}
        self._plainly = settings.spoken_plainly
        self._named = {_netloc(place) for place in (*settings.find_links, *settings.indexes) if _is_remote(place)}
        self._file = settings.netrc

    def taken_from(self, url: str) -> str:
        """Returns the URL without its user and password, which are kept for its host. Raises ValueError for no URL."""
        parts = urlsplit(url)
        user, at, host = parts.netloc.rpartition("@")
        if at:
            self._of[host] = _basic(unquote(user))
        return parts._replace(netloc=host).geturl()

    def http_request(self, request: urllib.request.Request) -> urllib.request.Request:
        """Adds the header; a redirect's request comes by here on its own."""
        known = self._of.get(request.host) or self._from_netrc(request)
        if known:
            request.add_unredirected_header("Authorization", known)
        return request

    https_request = http_request


    def _from_netrc(self, request: urllib.request.Request) -> str | None:
        host = request.host.lower()
        if request.type != "https" and host not in self._plainly:
            return None
        name = urlsplit(request.full_url).hostname or ""
        entry = self._netrc.get(name) or (self._netrc.get("default") if host in self._named else None)
        return _basic(f"{entry[0]}:{entry[2]}") if entry else None

    @cached_property
    def _netrc(self) -> Mapping[str, tuple[str, str | None, str | None]]:
        """The entries by host. A file that can't be read or parsed is passed over, as pip does: its text may be passwords."""
        try:
            if self._file and os.path.getsize(self._file) <= NETRC_LIMIT:
                return netrc.netrc(self._file).hosts
        except (OSError, ValueError, netrc.NetrcParseError):
            pass
        return {}


def _basic(user: str) -> str:
    return "Basic " + b64encode(user.encode()).decode()


def _unverified() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def _context(cert: str | None) -> ssl.SSLContext:
    if not cert:
        return ssl.create_default_context()  # SSL_CERT_FILE and SSL_CERT_DIR count here
    try:
        folder = os.path.isdir(cert)
        return ssl.create_default_context(cafile=None if folder else cert, capath=cert if folder else None)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise SetupError(f"{shown(cert)} holds no certificates: {reason}; correct PIP_CERT or REQUESTS_CA_BUNDLE") from None


def _failure(error: Exception) -> Unavailable:
    """Explains an exception of urllib or http.client."""
    if isinstance(error, urllib.error.HTTPError):
        busy = error.code in (403, 408, 429) or error.code >= 500
        if error.code in range(300, 400):
            return Unavailable(f"redirects more than {REDIRECTS} times, or to no web server")
        wants = ": wants a user and password, in its URL or in ~/.netrc" if error.code == 401 else ""
        return Unavailable(f"HTTP {error.code}{wants}", passing=busy)
    cause = getattr(error, "reason", error)
    if isinstance(cause, ssl.SSLCertVerificationError):
        return Unavailable(f"no trusted TLS connection: {cause.verify_message} (PIP_CERT names other certificates, PIP_TRUSTED_HOST a host that needs none)")
    if isinstance(cause, TimeoutError):
        return Unavailable("no answer in time")
    if isinstance(cause, ConnectionError):
        return Unavailable(str(cause.strerror or "the connection broke off"), passing=True)
    if isinstance(error, http.client.HTTPException) and not isinstance(error, http.client.InvalidURL):
        return Unavailable("the answer is no HTTP or broke off", passing=True)
    return Unavailable(str(getattr(cause, "strerror", None) or cause))


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
    """Gives the absolute URLs that a page links to, without fragments. What is no URL is passed over."""
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
            reasons.append(f"{shown(place)}: {_plain(str(error))}")
            continue
        digest = hashlib.sha256(data).hexdigest()
        if digest != pin.sha256:
            what = f"{shown(found)} is not the {pin.wheel} that pip.lock pins, and was not used"
            raise SetupError(f"{what} (sha256 {digest}, not {pin.sha256}); find out who changed it before you change the pin")
        return data
    raise _nowhere(pin, settings, reasons)


def _nowhere(pin: Pin, settings: Settings, reasons: list[str]) -> SetupError:
    tried = f" ({'; '.join(reasons)})" if reasons else ""
    if not settings.indexes:
        fix = f"run this once with an index, or with PIP_FIND_LINKS=FOLDER, a folder with {pin.wheel} and the other wheels"
        return SetupError(f"{pin.wheel} is not here, and nothing may be connected to{tried}; {fix}")
    fix = f"check the network, or set PIP_INDEX_URL to an index that you reach, or PIP_FIND_LINKS to a folder with {pin.wheel}"
    return SetupError(f"{pin.wheel} can't be fetched{tried}; {fix}")


def _look(place: str, pin: Pin, web: Web) -> tuple[str, bytes]:
    """Returns (where the wheel was, its bytes) of one folder, file or page. Raises Unavailable."""
    if not _is_remote(place):
        return _look_here(_local_path(place), pin, web)
    if _file_name(place) == pin.wheel:
        return place, web.read(place, WHEEL_LIMIT)[1]
    url, page = web.read(place, PAGE_LIMIT)
    link = _link_of(page, url, pin)
    if not _is_remote(link):
        raise Unavailable(f"links to {shown(link)}, which is on no web server")
    return link, web.read(link, WHEEL_LIMIT)[1]


def _look_here(path: Path, pin: Pin, web: Web) -> tuple[str, bytes]:
    if not path.exists():
        raise Unavailable("is not there")
    if path.is_dir():
        wheel = path / pin.wheel
        path = wheel if wheel.exists() or not (path / "index.html").exists() else path / "index.html"
    if path.name == pin.wheel:
        return str(path), _read_file(path, WHEEL_LIMIT)
    link = _link_of(_read_file(path, PAGE_LIMIT), path.absolute().as_uri(), pin)
    if _is_remote(link):
        return link, web.read(link, WHEEL_LIMIT)[1]
    return link, _read_file(_local_path(link), WHEEL_LIMIT)


def _link_of(page: bytes, url: str, pin: Pin) -> str:
    link = next((link for link in links(page, url) if _file_name(link) == pin.wheel), None)
    if link is None:
        raise Unavailable(f"lists no {pin.wheel}")
    return link


def _read_file(path: Path, limit: int) -> bytes:
    """The bytes of a regular file: a FIFO or a device would never end. Raises Unavailable."""
    try:
        if not path.is_file():
            raise Unavailable(f"holds no file {path.name}")
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except (OSError, ValueError) as error:
        raise Unavailable(f"can't be read: {getattr(error, 'strerror', None) or error}") from None
    if len(data) > limit:
        raise Unavailable(f"has more than {limit} bytes")
    return data


def _is_remote(place: str) -> bool:
    return "://" in place and not place.lower().startswith("file:")


def _netloc(place: str) -> str:
    """A URL's host and port, without user and password."""
    return place.partition("://")[2].partition("/")[0].rpartition("@")[2].lower()


def _local_path(place: str) -> Path:
    if place.lower().startswith("file:"):
        return Path(unquote(place[len("file:") :].removeprefix("//").removeprefix("localhost")))
    return Path(os.path.expanduser(place))


def _file_name(url: str) -> str:
    return unquote(url.partition("?")[0].rpartition("/")[2])


def shown(place: str) -> str:
    """Returns a place as messages may name it: without user, password and query, and in plain characters."""
    scheme, separator, rest = place.partition("://")
    if not separator:
        return _plain(place)
    host, slash, path = rest.partition("/")
    return _plain(f"{scheme}://{host.rpartition('@')[2]}{slash}{path.partition('?')[0]}")


def _plain(text: str) -> str:
    """The text with what could steer a terminal escaped, and no longer than a line should be."""
    text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return text if len(text) <= 300 else f"{text[:300]}…"


def provide(lock: Path, folder: Path, settings: Settings) -> Path:
    """Puts the pinned wheel into the folder and returns its path. Raises SetupError."""
    pin = read_pin(lock)
    data = fetch(pin, settings, Web(settings))
    path = folder / pin.wheel
    try:
        path.write_bytes(data)
    except OSError as error:
        raise SetupError(f"{path} can't be written: {error.strerror}") from None
    return path


def main(arguments: list[str]) -> int:
    """Runs the command line and returns its exit status; an error is one line on stderr."""
    lock, folder, *options = arguments
    try:
        print(provide(Path(lock), Path(folder), read_settings(os.environ, offline="--offline" in options)))
    except SetupError as error:
        print(f"sconsw: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
