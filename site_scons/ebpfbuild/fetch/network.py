"""Fetches one URL into a file of the store, with retries: no other module opens a connection.

What is tried again follows Bazel's HttpConnector: 8 tries, 100 ms doubling, on 403, 408, 429 and 5xx but no other 4xx.
"""

import os
import random
import re
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any, NamedTuple
from urllib.parse import urljoin, urlsplit

from ..errors import FetchError, HurriedError, StoppedError
from ..escape import without_secrets
from .login import Login
from .pace import Abandoned, Ended, Pace, Transfer
from .proxies import Proxy, proxy_for
from .store import CHUNK, Incoming
from .tls import CertificatesError, distrust, named_bundles, trusting

REDIRECTS = 5
HEADERS = {"User-Agent": "scons-bpf", "Accept-Encoding": "identity"}  # gzip would make Content-Length useless
DIGITS = re.compile("[0-9]{1,15}")  # int() takes other digits too, but not 5000 of them


class Trouble(Exception):
    """A try that failed.

    `tries` says how many such tries are worth it, `pause` what the server asked for, in seconds; `down` means that the
    host as a whole can't be reached, or is too slow.
    """

    def __init__(self, reason: str, tries: int = 8, pause: float = 0.0, down: bool = False):
        self.reason, self.tries, self.pause, self.down = reason, tries, pause, down
        super().__init__(reason)


class Down(NamedTuple):
    """A host that can't be reached or is too slow: why, and how many seconds it was given to prove otherwise."""

    reason: str
    waited: float


class Head(NamedTuple):
    """The head of an answer: the body's length in bytes, and whether its end differs from a dropped connection."""

    length: int | None
    end_known: bool


@dataclass(frozen=True)
class Network:
    """The patience of fetches, and the hosts found to be down in this build. Times are in seconds.

    A source that brings less than `slowest` bytes a second over a `window` is given up, from the look-up of its name to
    the last byte; a good one that is slow is left to finish. While other sources are left, a source gets a `few` tries
    and no pause that it asks for; together such sources get `budget` seconds, so that the last one has its turn within
    a minute. A host that can't be found, refuses or is silent is not asked again by the next artifact. `total_delay`
    caps the pauses between the tries of one URL, `patience` the time after which no further one begins.
    `stopped` is asked often: once it is true, the transfer ends with a StoppedError.
    """

    tries: int = 8
    few: int = 3
    first_delay: float = 0.1
    total_delay: float = 30.0
    connect_timeout: float = 5.0
    window: float = 15.0
    slowest: float = 1000.0
    budget: float = 45.0
    patience: float = 60.0
    tick: float = 0.1
    sleep: Callable[[float], None] | None = None
    chance: Callable[[], float] = random.random
    stopped: Callable[[], bool] = lambda: False
    down: dict[str, Down] = field(default_factory=dict, compare=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, compare=False, repr=False)

    def fetch(
        self,
        url: str,
        into: Incoming,
        limit: int,
        size: int | None = None,
        progress: Callable[[int, int | None], None] = lambda done, total: None,
        others: int = 0,
        spent: float = 0.0,
        login: Login | None = None,
    ) -> None:
        """Fetches a URL's body `into` a file, cut soon after `limit` bytes: the caller verifies it.

        `size` is the pinned size where one is known. `progress` gets bytes done and in all. `others` is how many
        sources are left should this one fail, `spent` the seconds that those before it took. `login` goes with the
        request for this URL, and with none that it redirects to. Raises FetchError with the reason once no try is left,
        a HurriedError if more of them may help, StoppedError and CacheError.
        """
        _require_requests(url)
        origin = "{0.scheme}://{0.netloc}".format(urlsplit(url))
        window = min(self.window, max(self.budget - spent, 0.0) / others) if others else self.window
        if (known := self.down.get(origin)) and (others or known.waited >= self.window):
            kind = FetchError if known.waited >= self.window else HurriedError
            raise kind(f"{known.reason} (a moment ago)", where=without_secrets(url))
        began, waited = time.monotonic(), 0.0
        for attempt in range(1, self.tries + 1):
            into.restart()
            # While others are left, all tries share one window; the last source has one for each.
            pace = Pace(window, self.slowest, began if others else time.monotonic())
            try:
                return self._attempt(url, into, limit, size, progress, pace, login)
            except Trouble as trouble:
                last = trouble
            pause = max(self._backoff(attempt), last.pause)
            most, rest = (self.few, window) if others else (self.tries, self.total_delay)
            late = time.monotonic() - began > (window if others else self.patience)
            if attempt >= min(last.tries, most) or waited + pause > rest or late:
                break
            self._pause_for(pause)
            waited += pause
        self._note(origin, last, window)
        raise self._failed(url, last, attempt, bool(others))

    def _note(self, origin: str, last: Trouble, window: float) -> None:
        if last.down:
            with self._lock:
                self.down[origin] = Down(last.reason, window)

    def _failed(self, url: str, last: Trouble, attempt: int, others: bool) -> FetchError:
        tried = f", {attempt} tries" if attempt > 1 else ""
        asked = f", and asks to wait {last.pause:.0f} s" if last.pause > (0 if others else self.total_delay) else ""
        kind = HurriedError if others and attempt < min(last.tries, self.tries) else FetchError
        return kind(f"{last.reason}{tried}{asked}", where=without_secrets(url))

    def _backoff(self, attempt: int) -> float:
        return self.first_delay * 2.0 ** (attempt - 1) * (0.5 + self.chance() / 2)

    def _pause_for(self, seconds: float) -> None:
        if self.sleep:
            return self.sleep(seconds)
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self.check_interrupt()
            time.sleep(min(left, self.tick))

    def check_interrupt(self) -> None:
        """Raises StoppedError once somebody interrupted the build."""
        if self.stopped():
            raise StoppedError("was interrupted")

    def _attempt(
        self,
        url: str,
        into: Incoming,
        limit: int,
        size: int | None,
        progress: Callable[[int, int | None], None],
        pace: Pace,
        login: Login | None,
    ) -> None:
        transfer, head = Transfer(lambda put: self._bring(url, put, login)), Head(None, False)
        try:
            while not isinstance(item := transfer.take(self.tick), Ended):
                self.check_interrupt()
                if isinstance(item, Head):
                    head = item
                elif item:
                    into.write(item)
                    progress(into.size, size or head.length)
                    if into.size > limit:
                        into.cut = True
                        return
                if pace.too_slow(time.monotonic(), into.size):
                    raise _slow(into.size, pace.window)
        finally:
            transfer.abandon()
        if item.error:
            raise item.error
        # Where the server tells no length, a dropped connection looks like the end of the body.
        if not head.end_known and size and into.size < size and not oddity(into.head, into.size):
            raise Trouble(f"the connection ended after {into.size} of {size} bytes")

    def _bring(self, url: str, put: Callable[[Any], None], login: Login | None) -> None:
        """Puts a Head and then the body's pieces. Raises Trouble for whatever a server or a network can do."""
        import requests
        from urllib3.exceptions import HTTPError

        try:
            with requests.Session() as session:
                # Nothing of the environment counts but what is read here: no password of ~/.netrc goes anywhere else.
                session.trust_env = False
                session.mount("https://", _verifying())
                # It would look at where a redirect leads although it isn't to go there, and fails on nonsense.
                session.resolve_redirects = lambda *args, **kwargs: iter(())  # type: ignore[method-assign, assignment]
                with self._open(session, url, login) as response:
                    _receive(response, put)
        except (Trouble, Abandoned):
            raise
        except requests.RequestException as error:
            raise _trouble(error, requests.exceptions, url) from None
        except CertificatesError as error:
            raise Trouble(str(error), tries=1) from None
        except HTTPError as error:  # while the body comes: read1 is urllib3's
            late = "Timeout" in type(error).__name__
            raise Trouble("no answer in time" if late else "the connection broke off") from None
        except zlib.error:
            raise Trouble("its gzip is damaged") from None
        except Exception as error:  # noqa: BLE001  # the libraries pass on what int(), idna and others raise on nonsense
            raise Trouble(f"the answer can't be understood ({type(error).__name__})", tries=1) from None

    def _open(self, session: Any, url: str, login: Login | None) -> Any:
        for _ in range(REDIRECTS + 1):
            proxy = _usable_proxy(url)
            response = session.get(
                url,
                headers={**HEADERS, **(login.headers if login else {})},
                stream=True,
                allow_redirects=False,
                timeout=(self.connect_timeout, self.window + 1),
                proxies={urlsplit(url).scheme: proxy.url} if proxy else None,
            )
            if not response.is_redirect:
                break
            response.close()
            url, login = _redirected(url, response.headers["location"]), None
        else:
            raise Trouble(f"redirects more than {REDIRECTS} times", tries=1)
        if response.status_code == 200:
            return response
        response.close()
        again = response.status_code in (403, 408, 429) or response.status_code >= 500
        reason = f"HTTP {response.status_code} {(response.reason or '')[:100]}".rstrip()
        if response.status_code == 407 and proxy:
            reason = f"{reason}: {_wants_password(proxy)}"
        elif login and (advice := login.explain(response.status_code)):
            reason, again = f"{reason}: {advice}", False
        elif response.status_code == 401:
            reason = f"{reason}: wants a password, and those go to MIRROR= alone, across no redirect"
        raise Trouble(reason, self.tries if again else 1, retry_after(response.headers.get("retry-after", "")))


def _verifying() -> Any:
    """Makes requests' adapter for https, which trusts this machine's certificates and certifi's.

    Where the environment names others, it trusts those alone. requests itself would trust certifi's only.
    """
    from requests.adapters import HTTPAdapter
    from requests.utils import DEFAULT_CA_BUNDLE_PATH

    bundles = named_bundles(os.environ)
    context = trusting(bundles, None if bundles else DEFAULT_CA_BUNDLE_PATH)

    class Verifying(HTTPAdapter):
        def init_poolmanager(self, *args: Any, **more: Any) -> None:
            super().init_poolmanager(*args, ssl_context=context, **more)

        def proxy_manager_for(self, proxy: str, **more: Any) -> Any:
            if proxy.lower().startswith("https"):
                more["proxy_ssl_context"] = context
            return super().proxy_manager_for(proxy, ssl_context=context, **more)

        def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
            """Adds no certificates of certifi's: the context has all that count."""
            conn.cert_reqs = "CERT_REQUIRED"

    return Verifying()


def _usable_proxy(url: str) -> Proxy | None:
    """Returns the proxy for a URL, None for none. Raises Trouble for one that can't be used."""
    proxy = proxy_for(url, os.environ)
    if proxy and not proxy.usable:
        raise Trouble(f"its proxy {proxy.shown} is no URL: write {proxy.variable}=http://HOST:PORT", tries=1)
    if proxy and proxy.is_socks and not find_spec("socks"):
        install = f'install it ("{sys.executable}" -m pip install PySocks)'
        raise Trouble(
            f"its proxy {proxy.shown} speaks SOCKS, which needs the package PySocks: {install}, or name an HTTP proxy",
            tries=1,
        )
    return proxy


def _wants_password(proxy: Proxy) -> str:
    return f"the proxy {proxy.shown} wants a user and password, or others: write {proxy.variable}=http://USER:PASSWORD@HOST:PORT"


def _require_requests(url: str) -> None:
    try:
        import requests  # noqa: F401
    except ImportError:
        what, fix = "the package requests is missing", "install requirements.lock"
        raise FetchError(what, where=without_secrets(url), fix=fix) from None


def _receive(response: Any, put: Callable[[Any], None]) -> None:
    encoding = response.headers.get("content-encoding", "").strip().lower()
    encoded = encoding not in ("", "identity")
    length = response.headers.get("content-length", "")
    known = int(length) if DIGITS.fullmatch(length) and not encoded else None
    chunked = response.headers.get("transfer-encoding", "").lower() == "chunked"
    put(Head(known, known is not None or encoded or chunked))
    # read1 gives what is there; requests' own iter_content waits for a whole chunk, and so for ever on a trickle.
    chunks = iter(lambda: response.raw.read1(CHUNK, decode_content=False), b"")
    if encoded and encoding not in ("gzip", "x-gzip"):
        raise Trouble(f"sends the encoding {encoding[:40]!r}, which was not asked for", tries=1)
    for chunk in _inflated(chunks) if encoded else chunks:
        put(chunk)


def _inflated(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yields the content of gzip in pieces of at most CHUNK bytes: a few bytes may stand for gigabytes.

    Raises zlib.error.
    """
    inflate = zlib.decompressobj(zlib.MAX_WBITS | 16)
    for chunk in chunks:
        while chunk:
            if data := inflate.decompress(chunk, CHUNK):
                yield data
            chunk = inflate.unused_data if inflate.eof else inflate.unconsumed_tail
            if inflate.eof and chunk:  # gzip files may be joined
                inflate = zlib.decompressobj(zlib.MAX_WBITS | 16)
    if data := inflate.flush():
        yield data
    if not inflate.eof:
        raise Trouble("the connection broke off")


def _slow(done: int, window: float) -> Trouble:
    if not done:
        return Trouble("no answer in time", tries=2, down=True)
    return Trouble(f"is too slow: {done} bytes, and hardly any in the last {window:.3g} s", tries=2, down=True)


def oddity(head: bytes, size: int) -> str:
    """Says in words why a body of `size` bytes that begins with `head` is no artifact; empty if it looks fine."""
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith((b"<!doctype html", b"<html")):
        return "an HTML page"
    if size == 0:
        return "an empty file"
    if size < 256 and re.fullmatch(rb"[\w.+/-]+\n?", head) and re.search(rb"[./]", head):
        return f"only the file name {head.decode('ascii').strip()!r}, an unresolved symlink"
    return ""


def retry_after(value: str) -> float:
    """Returns the seconds that a Retry-After header asks for; 0 if it says nothing.

    Source: RFC 9110, 10.2.3, a number or a date.
    """
    number = value.strip(" \t")  # str.strip() and float() each take other characters for blanks
    if DIGITS.fullmatch(number):
        return float(number)
    from email.utils import parsedate_to_datetime

    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (TypeError, ValueError, ArithmeticError, LookupError, OSError):
        return 0.0


def _redirected(url: str, location: str) -> str:
    """Returns the URL that an answer of `url` redirects to. Raises Trouble for one that isn't to be followed."""
    try:
        target = urljoin(url, location)
        parts = urlsplit(target)
        user, _port = parts.username, parts.port  # each may raise ValueError when it is read
        has_user = user is not None
    except ValueError:
        has_user, target = False, ""
    if not target or re.search(r"[\0-\x20\x7f]", location):
        raise Trouble("redirects to what is no URL", tries=1)
    if has_user:
        raise Trouble("redirects to a URL with a user name or password", tries=1)
    if not _may_redirect(url, target):
        raise Trouble(f"redirects to {without_secrets(target)[:200]}, and a redirect must be to https", tries=1)
    return target


def _may_redirect(url: str, target: str) -> bool:
    scheme = urlsplit(target).scheme
    return scheme == "https" or (scheme == "http" and urlsplit(url).scheme == "http")


def _trouble(error: Exception, kinds: Any, url: str) -> Trouble:
    """Returns the Trouble that an exception of requests stands for, for a URL that was asked for."""
    cause = getattr(error.args[0], "reason", error.args[0]) if error.args else error
    text = f"{type(cause).__name__} {cause}"
    if isinstance(error, kinds.ProxyError) and (proxy := proxy_for(url, os.environ)):
        if " 407 " in text:
            return Trouble(_wants_password(proxy), tries=1)
        reason = f"the proxy {proxy.shown} can't be reached or refuses; no_proxy names hosts that need none"
        return Trouble(reason, tries=2, down=True)
    if isinstance(error, kinds.SSLError):
        refused = cause.args[0] if cause.args and hasattr(cause.args[0], "verify_message") else None
        reason = (
            distrust(refused, named_bundles(os.environ))
            if refused
            else f"no trusted TLS connection: {str(cause)[:200]}"
        )
        return Trouble(reason, tries=1)
    if isinstance(error, kinds.ConnectTimeout):
        return Trouble("no connection in time", tries=2, down=True)
    if "NameResolutionError" in text:
        return Trouble("the host name can't be resolved", tries=2, down=True)
    if "NewConnectionError" in text:
        refused = "the connection is refused" if "refused" in text else "the host can't be reached"
        return Trouble(refused, tries=2, down=True)
    if isinstance(error, kinds.Timeout):
        return Trouble("no answer in time", tries=2, down=True)
    if isinstance(error, kinds.ConnectionError):
        return Trouble("the connection broke off")
    return Trouble(f"the answer can't be understood ({type(error).__name__})", tries=1)  # its text holds the URL
