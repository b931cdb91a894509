"""Reads URLs with the standard library: certificates, proxies and passwords as pip is told of them."""

import http.client
import os
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from functools import cache, cached_property
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from ebpfbuild.fetch.passwords import basic, logins
from ebpfbuild.fetch.proxies import named_proxy, proxy_for
from ebpfbuild.fetch.tls import CertificatesError, distrust, trusting

from .errors import SetupError, Unavailable, one_line
from .settings import Settings, shown

READ_TIMEOUT = 20.0  # seconds without a byte
PATIENCE = 120.0  # seconds for one URL
TRIES = 3  # of a host that breaks off or is busy
MAX_REDIRECTS = 5

# What the standard library raises for a server's nonsense and a network's failure; URLError and SSLError are OSErrors.
_FAILURES = (OSError, http.client.HTTPException, ValueError)
_WANTED = {
    401: ": wants a user and password, in its URL or in ~/.netrc",
    407: ": its proxy wants a user and password; write https_proxy=http://USER:PASSWORD@HOST:PORT",
}


class Answer(NamedTuple):
    """The bytes of a URL or a file, and where they were in the end: a URL behind redirects, or a path."""

    place: str
    body: bytes


class Web:
    """Reads URLs over http and https, and nothing else: no file, no ftp, whatever a page or a redirect says."""

    def __init__(self, settings: Settings, sleep: Callable[[float], None] = time.sleep):
        self._settings, self._sleep = settings, sleep
        self._known = _Credentials(settings)

    @cached_property
    def _opener(self) -> urllib.request.OpenerDirector:
        opener = urllib.request.OpenerDirector()
        for handler in (
            _Proxies(self._settings.proxy),
            urllib.request.HTTPHandler(),
            _Https(self._settings),
            urllib.request.HTTPDefaultErrorHandler(),
            urllib.request.HTTPErrorProcessor(),
            urllib.request.UnknownHandler(),
            _Redirects(),
            self._known,
        ):
            opener.add_handler(handler)
        opener.addheaders = [("User-Agent", "scons-bpf"), ("Accept", "text/html, */*;q=0.1")]
        return opener

    def read(self, url: str, limit: int) -> Answer:
        """Reads a URL. Raises Unavailable with the reason."""
        for attempt in range(1, TRIES + 1):
            try:
                return self._read(self._known.taken_from(url), limit)
            except Unavailable as error:
                failure = error
            except _FAILURES as error:
                failure = _failure(error, self._settings)
            if not failure.passing or attempt == TRIES:
                break
            self._sleep(0.5 * attempt)
        raise failure

    def _read(self, url: str, limit: int) -> Answer:
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
            return Answer(response.geturl(), bytes(body))


class _Proxies(urllib.request.ProxyHandler):
    """Sends a request to pip's proxy, else to the one that the environment names for its URL."""

    def __init__(self, url: str | None):
        super().__init__({})
        self._named = named_proxy(url, "PIP_PROXY") if url else None

    def http_open(self, req: urllib.request.Request) -> Any:
        """Returns None for the next handler, which connects. Raises Unavailable for a proxy that can't be used."""
        proxy = self._named or proxy_for(req.full_url, os.environ)
        if proxy is None or req.has_proxy():
            return None
        if proxy.is_socks:
            raise Unavailable(
                f"its proxy {proxy.shown} speaks SOCKS, which set-up and pip can't yet; name an HTTP proxy there"
            )
        if not proxy.usable:
            raise Unavailable(f"its proxy {proxy.shown} is no URL: write {proxy.variable}=http://HOST:PORT")
        return self.proxy_open(req, proxy.url, req.type)

    https_open = http_open


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to https, and from http to http."""

    max_redirections = MAX_REDIRECTS

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        scheme = urlsplit(newurl).scheme
        if scheme != "https" and (scheme, req.type) != ("http", "http"):
            raise Unavailable(f"redirects to {shown(newurl)}, and a redirect must be to https")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


class _Https(urllib.request.AbstractHTTPHandler):
    """Asks every host for a certificate, but for those that pip is told to trust: the wheel's digest is pinned."""

    https_request = urllib.request.AbstractHTTPHandler.do_request_

    def __init__(self, settings: Settings):
        super().__init__()
        self._settings = settings

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        """Opens one connection; behind a proxy, the request's URL still names the host itself. Raises SetupError."""
        parts, trusted = urlsplit(req.full_url), self._settings.trusted
        host = parts.netloc.lower()
        unasked = host in trusted or host.removesuffix(f":{parts.port}") in trusted
        return self.do_open(http.client.HTTPSConnection, req, context=_unverified() if unasked else self._verified())

    def _verified(self) -> ssl.SSLContext:
        try:
            return trusting(self._settings.bundles)
        except CertificatesError as error:
            raise SetupError(one_line(str(error))) from None


class _Credentials(urllib.request.BaseHandler):
    """Sends the user and password of an index's URL, or .netrc's where it has none, to that host and to no other.

    Those leave over plain http for a host only that the settings themselves name so, and .netrc's `default`, which is
    for any host, goes to those of the settings alone.
    """

    def __init__(self, settings: Settings) -> None:
        self._of: dict[str, str] = {}
        self._settings = settings

    def taken_from(self, url: str) -> str:
        """Returns the URL without its user and password, which are kept for its host. Raises ValueError for no URL."""
        parts = urlsplit(url)
        user, at, host = parts.netloc.rpartition("@")
        if at:
            self._of[host] = basic(unquote(user))
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
        if request.type != "https" and host not in self._settings.spoken_plainly:
            return None
        name = urlsplit(request.full_url).hostname or ""
        login = self._logins.get(name) or (self._logins.get("default") if host in self._settings.named else None)
        return basic(login) if login else None

    @cached_property
    def _logins(self) -> Mapping[str, str]:
        return logins(self._settings.netrc)


@cache
def _unverified() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def _failure(error: Exception, settings: Settings) -> Unavailable:
    """Explains an exception of urllib or http.client."""
    if isinstance(error, urllib.error.HTTPError):
        busy = error.code in (403, 408, 429) or error.code >= 500
        if error.code in range(300, 400):
            return Unavailable(f"redirects more than {MAX_REDIRECTS} times, or to no web server")
        return Unavailable(f"HTTP {error.code}{_WANTED.get(error.code, '')}", passing=busy)
    cause = getattr(error, "reason", error)
    if isinstance(cause, ssl.SSLCertVerificationError):
        return Unavailable(f"{distrust(cause, settings.bundles)} (or the host in PIP_TRUSTED_HOST)")
    if "Tunnel connection failed: 407" in str(cause):
        return Unavailable(f"HTTP 407{_WANTED[407]}")
    if isinstance(cause, TimeoutError):
        return Unavailable("no answer in time")
    if isinstance(cause, ConnectionError):
        return Unavailable(str(cause.strerror or "the connection broke off"), passing=True)
    if isinstance(error, http.client.HTTPException) and not isinstance(error, http.client.InvalidURL):
        return Unavailable("the answer is no HTTP or broke off", passing=True)
    return Unavailable(str(getattr(cause, "strerror", None) or cause))
