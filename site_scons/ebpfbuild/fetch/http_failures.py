"""Says in words what a server, a proxy or a network did instead of answering, and whether to ask it again."""

import os
import re
import sys
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from ..shortage import shortage_below, shortage_fix
from .proxies import Proxy, proxy_for
from .tls import CertificatesError, distrust, named_bundles
from .transfer import Abandoned

NUMBER = re.compile("[0-9]{1,15}")  # int() takes other digits too, but not 5000 of them


class FailedTry(Exception):
    """Ends one try of a fetch.

    `tries` says how many such tries are worth it at the most, `pause` what the server asked for, in seconds; `down`
    means that the host as a whole can't be reached, or is too slow, `anew` that the next one begins at the first byte.
    """

    def __init__(
        self, reason: str, tries: int = sys.maxsize, pause: float = 0.0, down: bool = False, anew: bool = False
    ):
        self.reason, self.tries, self.pause, self.down, self.anew = reason, tries, pause, down, anew
        super().__init__(reason)


class ShortTry(FailedTry):
    """A try that this machine ended, as it has run out of something: no source is to blame, and none is had."""


@contextmanager
def failures_in_words(url: str) -> Iterator[None]:
    """Raises FailedTry for whatever a server or a network can do to an exchange about a URL."""
    try:
        yield
    except (FailedTry, Abandoned):
        raise
    except Exception as error:  # noqa: BLE001  # the libraries pass on what int(), idna and others raise on nonsense
        raise _failed(error, url) from None


def _failed(error: Exception, url: str) -> FailedTry:
    import requests
    from urllib3 import exceptions as urllib3

    if short := shortage_below(error):
        return ShortTry(f"{short.strerror}; {shortage_fix(short)}", tries=1)
    if isinstance(error, requests.RequestException):
        return _explained(error, requests.exceptions, url)
    if isinstance(error, CertificatesError):
        return FailedTry(str(error), tries=1)
    kinds = requests.exceptions
    named = {urllib3.ProxyError: kinds.ProxyError, urllib3.SSLError: kinds.SSLError}
    named |= {urllib3.NewConnectionError: kinds.ConnectionError, urllib3.ConnectTimeoutError: kinds.ConnectTimeout}
    for kind, of_requests in named.items():
        if isinstance(error, kind):  # before there is an answer: a pool's, which requests calls otherwise
            return _explained(of_requests(error), kinds, url)
    if isinstance(error, urllib3.HTTPError):  # while the body comes: read1 is urllib3's
        late = "Timeout" in type(error).__name__
        return FailedTry("no answer in time" if late else "the connection broke off")
    if isinstance(error, zlib.error):
        return FailedTry("its gzip is damaged")
    return FailedTry(f"the answer can't be understood ({type(error).__name__})", tries=1)


def refused_answer(response: Any, proxy: Proxy | None, advice: str) -> FailedTry:
    """Returns the error for a status that is neither 200 nor a redirect.

    `advice` is that of the login that was sent, if any; what it is about isn't tried again.
    """
    again = response.status_code in (403, 408, 429) or response.status_code >= 500
    reason = f"HTTP {response.status_code} {(response.reason or '')[:100]}".rstrip()
    if response.status_code == 407 and proxy:
        reason = f"{reason}: {_wants_password(proxy)}"
    elif advice:
        reason, again = f"{reason}: {advice}", False
    elif response.status_code == 401:
        reason = f"{reason}: wants a password, and those go to MIRROR= alone, across no redirect"
    return FailedTry(reason, sys.maxsize if again else 1, retry_after(response.headers.get("retry-after", "")))


def usable_proxy(url: str) -> Proxy | None:
    """Returns the proxy for a URL, None for none. Raises FailedTry for one that can't be used."""
    proxy = proxy_for(url, os.environ)
    if proxy and not proxy.usable:
        raise FailedTry(f"its proxy {proxy.shown} is no URL: write {proxy.variable}=http://HOST:PORT", tries=1)
    if proxy and proxy.is_socks and not find_spec("socks"):
        install = f'install it ("{sys.executable}" -m pip install PySocks)'
        raise FailedTry(
            f"its proxy {proxy.shown} speaks SOCKS, which needs the package PySocks: {install}, or name an HTTP proxy",
            tries=1,
        )
    return proxy


def _wants_password(proxy: Proxy) -> str:
    return f"the proxy {proxy.shown} wants a user and password, or others: write {proxy.variable}={proxy.url.partition(':')[0]}://USER:PASSWORD@HOST:PORT"


def _explained(error: Exception, kinds: Any, url: str) -> FailedTry:
    """Returns what an exception of requests means for a URL that was asked for."""
    cause = getattr(error.args[0], "reason", error.args[0]) if error.args else error
    text = f"{type(cause).__name__} {cause}"
    proxy = proxy_for(url, os.environ)
    # urllib3 tells of a SOCKS proxy that refuses as of a host that does.
    by_socks = proxy and proxy.is_socks and "NewConnectionError" in text
    if proxy and (isinstance(error, kinds.ProxyError) or by_socks):
        if " 407 " in text or (by_socks and "authentication" in text):
            return FailedTry(_wants_password(proxy), tries=1)
        reason = f"the proxy {proxy.shown} can't be reached or refuses; no_proxy names hosts that need none"
        return FailedTry(reason, tries=2, down=True)
    if isinstance(error, kinds.SSLError):
        refused = cause.args[0] if cause.args and hasattr(cause.args[0], "verify_message") else None
        reason = (
            distrust(refused, named_bundles(os.environ))
            if refused
            else f"no trusted TLS connection: {str(cause)[:200]}"
        )
        return FailedTry(reason, tries=1)
    if isinstance(error, kinds.ConnectTimeout):
        return FailedTry("no connection in time", tries=2, down=True)
    if "NameResolutionError" in text:
        return FailedTry("the host name can't be resolved", tries=2, down=True)
    if "NewConnectionError" in text:
        refused = "the connection is refused" if "refused" in text else "the host can't be reached"
        return FailedTry(refused, tries=2, down=True)
    if isinstance(error, kinds.Timeout):
        return FailedTry("no answer in time", tries=2, down=True)
    if isinstance(error, kinds.ConnectionError):
        return FailedTry("the connection broke off")
    return FailedTry(f"the answer can't be understood ({type(error).__name__})", tries=1)  # its text holds the URL


def retry_after(value: str) -> float:
    """Returns the seconds that a Retry-After header asks for; 0 if it says nothing.

    Source: RFC 9110, 10.2.3, a number or a date.
    """
    number = value.strip(" \t")  # str.strip() and float() each take other characters for blanks
    if NUMBER.fullmatch(number):
        return float(number)
    from email.utils import parsedate_to_datetime

    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (TypeError, ValueError, ArithmeticError, LookupError, OSError):
        return 0.0
