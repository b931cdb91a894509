"""The only module that opens a connection: one URL into a file of the store, with retries and without credentials.

What is tried again follows Bazel's HttpConnector: 8 tries, 100 ms doubling, on 403, 408, 429 and 5xx but no other 4xx.
"""

import random
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urljoin, urlsplit

from .errors import FetchError
from .plain import without_secrets
from .store import CHUNK, Incoming

REDIRECTS = 5
HEADERS = {"User-Agent": "scons-bpf", "Accept-Encoding": "identity"}  # gzip would make Content-Length useless


class Trouble(Exception):
    """One try that failed. `tries` is how many such tries are worth it, `pause` what the server asked for, in seconds;
    `down` means that the host as a whole can't be reached."""

    def __init__(self, reason: str, tries: int = 8, pause: float = 0.0, down: bool = False):
        self.reason, self.tries, self.pause, self.down = reason, tries, pause, down
        super().__init__(reason)


@dataclass(frozen=True)
class Network:
    """How patiently to fetch, and what was learnt about hosts in this build. Times are in seconds.

    A host that can't be found or refuses gets two tries, the next artifact's none: the alternates shall not wait.
    `patience` ends a try that goes on but too slowly; `total_delay` caps the pauses between the tries of one URL.
    """

    tries: int = 8
    first_delay: float = 0.1
    total_delay: float = 30.0
    connect_timeout: float = 5.0
    read_timeout: float = 20.0
    patience: float = 300.0
    sleep: Callable[[float], None] = time.sleep
    chance: Callable[[], float] = random.random
    down: dict[str, str] = field(default_factory=dict, compare=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, compare=False, repr=False)

    def fetch(self, url: str, into: Incoming, limit: int, size: int | None = None,
              progress: Callable[[int, int | None], None] = lambda done, total: None) -> None:
        """Nothing; `into` holds the body, cut soon after `limit` bytes: the caller verifies it.

        `size` is the pinned size where one is known. `progress` gets bytes done and in all. Raises FetchError with the
        reason once no try is left, and CacheError.
        """
        origin = "{0.scheme}://{0.netloc}".format(urlsplit(url))
        if origin in self.down:
            raise FetchError(f"{self.down[origin]} (a moment ago)", where=url)
        waited = 0.0
        for attempt in range(1, self.tries + 1):
            into.restart()
            try:
                return self._attempt(url, into, limit, size, progress)
            except Trouble as trouble:
                last = trouble
            pause = max(self._backoff(attempt), last.pause)
            if attempt >= min(last.tries, self.tries) or waited + pause > self.total_delay:
                break
            self.sleep(pause)
            waited += pause
        with self._lock:
            if last.down:
                self.down[origin] = last.reason
        tried = f", {attempt} tries" if attempt > 1 else ""
        asked = f", and asks to wait {last.pause:.0f} s" if last.pause > self.total_delay else ""
        raise FetchError(f"{last.reason}{tried}{asked}", where=url)

    def _backoff(self, attempt: int) -> float:
        return self.first_delay * 2 ** (attempt - 1) * (0.5 + self.chance() / 2)

    def _attempt(self, url, into, limit, size, progress) -> None:
        try:
            import requests
            from urllib3.exceptions import HTTPError
        except ImportError:
            raise FetchError("the package requests is missing", where=url, fix="install requirements.lock") from None
        try:
            with requests.Session() as session:
                # A callable here keeps requests from looking for a password in ~/.netrc; proxies and
                # certificates of the environment still count.
                session.auth = _no_credentials
                with self._open(session, url) as response:
                    self._receive(response, into, limit, size, progress)
        except requests.RequestException as error:
            raise _trouble(error, requests.exceptions) from None
        except HTTPError as error:  # while the body comes: read1 is urllib3's
            late = "Timeout" in type(error).__name__
            raise Trouble("no answer in time" if late else "the connection broke off") from None

    def _open(self, session: Any, url: str) -> Any:
        for _ in range(REDIRECTS + 1):
            response = session.get(url, headers=HEADERS, stream=True, allow_redirects=False,
                                   timeout=(self.connect_timeout, self.read_timeout))
            if not response.is_redirect:
                break
            target = urljoin(url, response.headers["location"])
            response.close()
            if not _may_redirect(url, target):
                raise Trouble(f"redirects to {without_secrets(target)}, and a redirect must be to https", tries=1)
            url = target
        else:
            raise Trouble(f"redirects more than {REDIRECTS} times", tries=1)
        if response.status_code == 200:
            return response
        response.close()
        again = response.status_code in (403, 408, 429) or response.status_code >= 500
        reason = f"HTTP {response.status_code} {response.reason or ''}".rstrip()
        raise Trouble(reason, self.tries if again else 1, retry_after(response.headers.get("retry-after", "")))

    def _receive(self, response, into, limit, size, progress) -> None:
        encoded = "content-encoding" in response.headers
        length = response.headers.get("content-length", "")
        length = int(length) if length.isdigit() and not encoded else None
        began = time.monotonic()
        # read1 gives what is there; requests' own iter_content waits for a whole chunk, and so for ever on a trickle.
        while chunk := response.raw.read1(CHUNK, decode_content=True):
            into.write(chunk)
            progress(into.size, size or length)
            if into.size > limit:
                into.cut = True
                return
            if time.monotonic() - began > self.patience:
                raise Trouble(f"is too slow: {into.size} bytes in {self.patience:.0f} s", tries=2)
        # Where the server tells no length, a dropped connection looks like the end of the body.
        told = length is not None or encoded or response.headers.get("transfer-encoding", "") == "chunked"
        if not told and size and into.size < size and not oddity(into.head, into.size):
            raise Trouble(f"the connection ended after {into.size} of {size} bytes")


def oddity(head: bytes, size: int) -> str:
    """What a body of `size` bytes that begins with `head` is if it is no artifact, in words; empty if it looks fine."""
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith((b"<!doctype html", b"<html")):
        return "an HTML page"
    if size == 0:
        return "an empty file"
    if size < 256 and re.fullmatch(rb"[\w.+/-]+\n?", head) and re.search(rb"[./]", head):
        return f"only the file name {head.decode('ascii').strip()!r}, an unresolved symlink"
    return ""


def retry_after(value: str) -> float:
    """The seconds that a Retry-After header asks for (RFC 9110, 10.2.3: a number or a date); 0 if it says nothing."""
    if value.strip().isascii() and value.strip().isdigit():
        return float(value)
    from email.utils import parsedate_to_datetime

    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (TypeError, ValueError, OverflowError):
        return 0.0


def _no_credentials(request: Any) -> Any:
    return request


def _may_redirect(url: str, target: str) -> bool:
    scheme = urlsplit(target).scheme
    return scheme == "https" or (scheme == "http" and urlsplit(url).scheme == "http")


def _trouble(error: Exception, kinds: Any) -> Trouble:
    """The Trouble that an exception of requests stands for."""
    cause = getattr(error.args[0], "reason", error.args[0]) if error.args else error
    text = f"{type(cause).__name__} {cause}"
    if isinstance(error, kinds.SSLError):
        return Trouble(f"no trusted TLS connection: {cause}", tries=1)
    if isinstance(error, kinds.ProxyError):
        return Trouble("the proxy of the environment (https_proxy) can't be reached or refuses", tries=2, down=True)
    if isinstance(error, kinds.ConnectTimeout):
        return Trouble("no connection in time", tries=2, down=True)
    if "NameResolutionError" in text:
        return Trouble("the host name can't be resolved", tries=2, down=True)
    if "NewConnectionError" in text:
        refused = "the connection is refused" if "refused" in text else "the host can't be reached"
        return Trouble(refused, tries=2, down=True)
    if isinstance(error, kinds.Timeout):
        return Trouble("no answer in time")
    if isinstance(error, kinds.ConnectionError):
        return Trouble("the connection broke off")
    return Trouble(f"{type(error).__name__}: {error}", tries=1)
