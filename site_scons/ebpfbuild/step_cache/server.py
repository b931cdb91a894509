"""Keeps a cache on a server that speaks Bazel's remote cache protocol over HTTP, such as bazel-remote, or WebDAV.

Source: bazel.build/remote/caching#http-caching, and bazel-remote's server/http.go for what it checks: a PUT's
Content-Length, an ActionResult under /ac/, the digest of what comes under /cas/. It answers 404 for a result whose
files are gone, unless the result holds them itself, and 507 where it is full.
"""

from ..escape import without_secrets
from ..fetch.http_exchange import MAX_REFUSAL_SIZE, Answer, Exchange
from ..fetch.http_failures import FailedTry
from ..fetch.mirror import Login
from .place import FILES, Entry, PlaceError, UnfitEntryError

SECONDS = 5.0  # until there is a connection, and between two pieces of an answer
INLINED = 1 << 17  # bytes: a minimized header has up to 80 kB, most objects have less
FULL = (413, 507)  # Content Too Large, Insufficient Storage
NO_PUT = (404, 405, 409, 501)  # what servers answer to a PUT below a path where none is taken


class ServerPlace:
    """A Place below a URL; see Place for its methods.

    `login`, `certificate` and `seconds` are as Exchange takes them.
    """

    inlines = INLINED  # each request costs as much as all else that a hit takes

    def __init__(self, url: str, login: Login | None, certificate: str = "", seconds: float = SECONDS):
        self._url, self._login = url, login
        self._exchange = Exchange(url, login, certificate, seconds)

    @property
    def shown(self) -> str:
        """The URL without what may be a password."""
        return without_secrets(self._url)

    def get(self, entry: Entry, limit: int) -> bytes | None:
        """Asks for an entry. What isn't there, or isn't any more, is None."""
        answer = self._sent("GET", entry, limit)
        if answer.status in (404, 410):
            return None
        if answer.status != 200:
            raise PlaceError(self._refusal(answer))
        if len(answer.body) > limit:
            raise UnfitEntryError(f"is larger than the {limit} bytes that it should have")
        return answer.body

    def put(self, entry: Entry, data: bytes) -> None:
        """Sends an entry."""
        answer = self._sent("PUT", entry, MAX_REFUSAL_SIZE, data)
        if not 200 <= answer.status < 300:
            raise PlaceError(self._put_refusal(answer), writing=True)

    def set_aside(self, entry: Entry) -> str:
        """Returns nothing: a server's entry is replaced by the next one that is sent."""
        return ""

    def _put_refusal(self, answer: Answer) -> str:
        if answer.status in FULL:
            return f"it is full (HTTP {answer.status})"
        if answer.status in NO_PUT:
            return f"PUT is refused (HTTP {answer.status}); check the path, and dav_methods of nginx"
        return self._refusal(answer)

    def _refusal(self, answer: Answer) -> str:
        advice = self._login.explain(answer.status) if self._login else ""
        return f"HTTP {answer.status}" + (f": {advice}" if advice else "")

    def _sent(self, method: str, entry: Entry, limit: int, data: bytes | None = None) -> Answer:
        """Sends a request about an entry. Raises PlaceError where no answer comes."""
        url, zstd = f"{self._url}/{entry.kind}/{entry.digest}", entry.kind == FILES and method == "GET"
        try:
            return self._exchange.send(method, url, limit, data, zstd)
        except FailedTry as failed:
            # Some servers and proxies break off what is too large for them, and still give.
            raise PlaceError(failed.reason, writing=method == "PUT" and not failed.down) from None
