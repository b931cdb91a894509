"""Fetches a URL into a file of the store, with retries, patience and memory for hosts that are down.

What is tried again follows Bazel's HttpConnector: 8 tries, 100 ms doubling, on 403, 408, 429 and 5xx but no other 4xx.
A try goes on where the one before broke off, if the server names its bytes by a strong ETag.
"""

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import urlsplit

from ..errors import FetchError, HurriedError, ShortageError, StoppedError
from ..escape import without_secrets
from .http_failures import FailedTry, ShortTry
from .http_get import AnswerHead, RequestLogin, Resume, Timeouts, get_body, require_requests
from .store import Incoming
from .transfer import Ended, Rate, Transfer
from .verify import wrong_body

PROGRESS = 1 << 20  # bytes, or a sixteenth of a smaller file: a try that brought so many is none of those counted


class DownHost(NamedTuple):
    """A host that can't be reached or is too slow: why, and how many seconds it was given to prove otherwise."""

    reason: str
    waited: float


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
    down: dict[str, DownHost] = field(default_factory=dict, compare=False)
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
        login: RequestLogin | None = None,
        sha256: str | None = None,
    ) -> None:
        """Fetches a URL's body `into` a file, cut soon after `limit` bytes: the caller verifies it.

        `size` and `sha256` are the pinned ones where they are known. `progress` gets bytes done and in all. `others` is
        how many sources are left should this one fail, `spent` the seconds that those before it took. `login` goes with
        the request for this URL, and with none that it redirects to. Raises FetchError with the reason once no try is
        left, a HurriedError if more of them may help, ShortageError, StoppedError and CacheError.
        """
        require_requests(url)
        origin = "{0.scheme}://{0.netloc}".format(urlsplit(url))
        window = min(self.window, max(self.budget - spent, 0.0) / others) if others else self.window
        if (known := self.down.get(origin)) and (others or known.waited >= self.window):
            kind = FetchError if known.waited >= self.window else HurriedError
            raise kind(f"{known.reason} (a moment ago)", where=without_secrets(url))
        began, waited, attempt = time.monotonic(), 0.0, 0
        while True:
            attempt += 1
            resume = Resume(into.size, into.etag) if into.etag and into.size else None
            if not resume:
                into.restart()
            before = into.size
            # While others are left, all tries share one window; the last source has one for each.
            rate = Rate(window, self.slowest, began if others else time.monotonic())
            try:
                self._attempt(url, into, limit, size, progress, rate, login, resume)
                if not resume or sha256 in (None, into.sha256):
                    return
                raise FailedTry("its parts make another file than the pinned one", anew=True)
            except ShortTry as short:
                raise ShortageError(short.reason, where=without_secrets(url)) from None
            except FailedTry as failed:
                last = failed
            if last.anew:
                into.restart()
            if into.etag and into.size - before >= min(PROGRESS, (size or limit) // 16):
                attempt -= 1
            pause = max(self._backoff(attempt), last.pause)
            most, rest = (self.few, window) if others else (self.tries, self.total_delay)
            late = time.monotonic() - began > (window if others else self.patience)
            if attempt >= min(last.tries, most) or waited + pause > rest or late:
                break
            self._pause_for(pause)
            waited += pause
        self._remember_down(origin, last, window)
        raise self._fetch_error(url, last, attempt, bool(others))

    def _remember_down(self, origin: str, last: FailedTry, window: float) -> None:
        if last.down:
            with self._lock:
                self.down[origin] = DownHost(last.reason, window)

    def _fetch_error(self, url: str, last: FailedTry, attempt: int, others: bool) -> FetchError:
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
        rate: Rate,
        login: RequestLogin | None,
        resume: Resume | None,
    ) -> None:
        timeouts = Timeouts(self.connect_timeout, self.window + 1)
        transfer, head = Transfer(lambda put: get_body(url, put, login, timeouts, resume)), AnswerHead(None, False)
        before = into.size
        try:
            while not isinstance(item := transfer.take(self.tick), Ended):
                self.check_interrupt()
                if isinstance(item, AnswerHead):
                    head = item
                    if resume and not head.start:  # the server sends all from the first byte on
                        into.restart()
                        before = 0
                    into.etag = head.etag
                elif item:
                    into.write(item)
                    progress(into.size, size or head.length)
                    if into.size > limit:
                        into.cut = True
                        return
                if rate.too_slow(time.monotonic(), into.size - before):
                    raise _slow(into.size, rate.window)
        finally:
            transfer.abandon()
        if item.error:
            raise item.error
        # Where the server tells no length, a dropped connection looks like the end of the body.
        if not head.end_known and size and into.size < size and not wrong_body(into.head, into.size):
            raise FailedTry(f"the connection ended after {into.size} of {size} bytes")


def _slow(done: int, window: float) -> FailedTry:
    if not done:
        return FailedTry("no answer in time", tries=2, down=True)
    return FailedTry(f"is too slow: {done} bytes, and hardly any in the last {window:.3g} s", tries=2, down=True)
