"""Gets one URL by requests: its redirects, proxy, certificates and encoding.

No other module opens a connection.
"""

import os
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.util import find_spec
from typing import Any, NamedTuple, Protocol
from urllib.parse import unquote, urljoin, urlsplit

from ..errors import FetchError
from ..escape import without_secrets
from .http_failures import NUMBER, FailedTry, failures_in_words, refused_answer, usable_proxy
from .store import CHUNK
from .tls import named_bundles, trusting

MAX_REDIRECTS = 5
REQUEST_HEADERS = {"User-Agent": "scons-bpf", "Accept-Encoding": "identity"}  # gzip would make Content-Length useless
MOST_CONNECTIONS = 16  # that a pool keeps open to one server
# RFC 9110, 8.8.3: a weak one (W/"…") may stand for other bytes.
STRONG_ETAG = re.compile(r'"[\x21\x23-\x7e]{1,200}"')
CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,15})-[0-9]{1,15}/(?:[0-9]{1,15}|\*)")  # RFC 9110, 14.4


class RequestLogin(Protocol):
    """The headers that go with a request for one URL, and with none that it redirects to."""

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers."""

    def explain(self, status: int) -> str:
        """Says what to do about an answer with this status; with a text, it isn't tried again."""


class Timeouts(NamedTuple):
    """The seconds that a connection may take, and those that may pass without a byte."""

    connect: float
    read: float


class AnswerHead(NamedTuple):
    """The head of an answer: the whole body's length in bytes, and whether its end differs from a dropped connection.

    `start` is the place of the first byte that comes, 0 but for an answer to a Resume. `etag` is what the server calls
    these bytes; empty where it doesn't vouch that another answer by that name has the same.
    """

    length: int | None
    end_known: bool
    start: int = 0
    etag: str = ""


class Resume(NamedTuple):
    """The bytes that are here already, and the ETag of the answer that they are of."""

    start: int
    etag: str

    @property
    def headers(self) -> dict[str, str]:
        """The headers that ask for the rest of the same bytes, or for other ones from the first. RFC 9110, 13.1.5."""
        return {"Range": f"bytes={self.start}-", "If-Range": self.etag}


def require_requests(url: str) -> None:
    """Raises FetchError, for the URL that was to be fetched, where the package requests is missing.

    It isn't imported, which takes as long as twenty answers of a cache: only a failure of those needs it.
    """
    if find_spec("requests") is None:
        what, fix = "the package requests is missing", "install requirements.lock"
        raise FetchError(what, where=without_secrets(url), fix=fix)


def get_body(
    url: str, put: Callable[[Any], None], login: RequestLogin | None, timeouts: Timeouts, resume: Resume | None = None
) -> None:
    """Puts an AnswerHead and then the pieces of a URL's body, gzip undone; for a `resume` those from its start on.

    A server that knows no ranges, or has other bytes by now, sends all from the first on. Raises FailedTry for whatever
    a server or a network can do.
    """
    with failures_in_words(url), new_session() as session:
        with _open(session, url, login, timeouts, resume) as response:
            _receive(response, put, resume)


def new_session() -> Any:
    """Returns a session of requests that takes nothing of its own from the environment. Raises CertificatesError."""
    import requests

    session = requests.Session()
    # Nothing of the environment counts but what is read here: no password of ~/.netrc goes anywhere else.
    session.trust_env = False
    session.mount("https://", _verifying_adapter())
    # It would look at where a redirect leads although it isn't to go there, and fails on nonsense.
    session.resolve_redirects = lambda *args, **kwargs: iter(())  # type: ignore[method-assign, assignment]
    return session


def new_pool(url: str, certificate: str) -> Any:
    """Returns a pool of urllib3's for many small requests to one server: it takes half of a session's time for each.

    `certificate` is a PEM file by which this side says who it is, if any. Threads may share it. Raises FailedTry,
    CertificatesError.
    """
    import urllib3

    proxy = usable_proxy(url)
    context = _tls_context(certificate) if urlsplit(url).scheme == "https" else None
    options: dict[str, Any] = {"maxsize": MOST_CONNECTIONS, "ssl_context": context}
    if proxy is None:
        return urllib3.PoolManager(**options)
    if proxy.is_socks:
        from urllib3.contrib.socks import SOCKSProxyManager

        return SOCKSProxyManager(proxy.url, **options)
    parts = urlsplit(proxy.url)
    login = f"{unquote(parts.username)}:{unquote(parts.password or '')}" if parts.username else None
    headers = urllib3.make_headers(proxy_basic_auth=login) if login else None
    encrypted = _tls_context("") if parts.scheme == "https" else None
    return urllib3.ProxyManager(proxy.url, proxy_headers=headers, proxy_ssl_context=encrypted, **options)


def _open(session: Any, url: str, login: RequestLogin | None, timeouts: Timeouts, resume: Resume | None) -> Any:
    """Returns the response with status 200, or 206 for a `resume`, that a URL or its redirects lead to.

    Raises FailedTry.
    """
    for _ in range(MAX_REDIRECTS + 1):
        proxy = usable_proxy(url)
        response = session.get(
            url,
            headers={**REQUEST_HEADERS, **(resume.headers if resume else {}), **(login.headers if login else {})},
            stream=True,
            allow_redirects=False,
            timeout=tuple(timeouts),
            proxies={urlsplit(url).scheme: proxy.url} if proxy else None,
        )
        if not response.is_redirect:
            break
        response.close()
        url, login = _redirected(url, response.headers["location"]), None
    else:
        raise FailedTry(f"redirects more than {MAX_REDIRECTS} times", tries=1)
    if response.status_code == 200 or (resume and response.status_code == 206):
        return response
    response.close()
    if resume and response.status_code == 416:
        raise FailedTry("has no rest to what came before", anew=True)
    raise refused_answer(response, proxy, login.explain(response.status_code) if login else "")


def _tls_context(certificate: str = "") -> Any:
    """Returns the context of TLS, which trusts this machine's certificates and certifi's; or those named, alone.

    Raises CertificatesError.
    """
    from requests.utils import DEFAULT_CA_BUNDLE_PATH

    bundles = named_bundles(os.environ)
    return trusting(bundles, None if bundles else DEFAULT_CA_BUNDLE_PATH, certificate)


def _verifying_adapter() -> Any:
    """Makes requests' adapter for https, whose certificates are _tls_context's. requests would trust certifi's only."""
    from requests.adapters import HTTPAdapter

    context = _tls_context()

    class Verifying(HTTPAdapter):
        def init_poolmanager(self, *args: Any, **more: Any) -> None:
            super().init_poolmanager(*args, ssl_context=context, **more)

        def proxy_manager_for(self, proxy: str, **more: Any) -> Any:
            """Returns the pool for a proxy; one that is reached by https is verified, too."""
            if proxy.lower().startswith("https"):
                more["proxy_ssl_context"] = context
            return super().proxy_manager_for(proxy, ssl_context=context, **more)

        def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
            """Adds no certificates of certifi's: the context has all that count."""
            conn.cert_reqs = "CERT_REQUIRED"

    return Verifying()


def _receive(response: Any, put: Callable[[Any], None], resume: Resume | None) -> None:
    encoding = response.headers.get("content-encoding", "").strip().lower()
    encoded = encoding not in ("", "identity")
    length = response.headers.get("content-length", "")
    known = int(length) if NUMBER.fullmatch(length) and not encoded else None
    chunked = response.headers.get("transfer-encoding", "").lower() == "chunked"
    etag = response.headers.get("etag", "")
    start = _start_of_rest(response, resume, encoded) if response.status_code == 206 and resume else 0
    total = None if known is None else known + start
    vouched = etag if not encoded and STRONG_ETAG.fullmatch(etag) else ""
    put(AnswerHead(total, known is not None or encoded or chunked, start, vouched))
    # read1 gives what is there; requests' own iter_content waits for a whole chunk, and so for ever on a trickle.
    chunks = iter(lambda: response.raw.read1(CHUNK, decode_content=False), b"")
    if encoded and encoding not in ("gzip", "x-gzip"):
        raise FailedTry(f"sends the encoding {encoding[:40]!r}, which was not asked for", tries=1)
    for chunk in _inflated(chunks) if encoded else chunks:
        put(chunk)


def _start_of_rest(response: Any, resume: Resume, encoded: bool) -> int:
    """Returns where a partial answer begins. Raises FailedTry for one that isn't the rest which was asked for."""
    found = CONTENT_RANGE.fullmatch(response.headers.get("content-range", ""))
    if encoded or not found or int(found[1]) != resume.start:
        raise FailedTry("answers with another part than the one that was asked for", anew=True)
    return resume.start


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
        raise FailedTry("the connection broke off")


def _redirected(url: str, location: str) -> str:
    """Returns the URL that an answer of `url` redirects to. Raises FailedTry for one that isn't to be followed."""
    try:
        target = urljoin(url, location)
        parts = urlsplit(target)
        user, _port = parts.username, parts.port  # each may raise ValueError when it is read
        has_user = user is not None
    except ValueError:
        has_user, target = False, ""
    if not target or re.search(r"[\0-\x20\x7f]", location):
        raise FailedTry("redirects to what is no URL", tries=1)
    if has_user:
        raise FailedTry("redirects to a URL with a user name or password", tries=1)
    if not _may_redirect(url, target):
        raise FailedTry(f"redirects to {without_secrets(target)[:200]}, and a redirect must be to https", tries=1)
    return target


def _may_redirect(url: str, target: str) -> bool:
    scheme = urlsplit(target).scheme
    return scheme == "https" or (scheme == "http" and urlsplit(url).scheme == "http")
