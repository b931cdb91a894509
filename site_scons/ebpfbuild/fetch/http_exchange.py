"""Exchanges small requests with one server by http_get's pool, whose connections stay open."""

import contextlib
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any, NamedTuple

from ..archive.unpack import zstd_decompressor
from ..errors import ArchiveError
from .http_failures import FailedTry, failures_in_words
from .http_get import new_pool
from .mirror import Login
from .store import CHUNK
from .tls import CertificatesError

MAX_REFUSAL_SIZE = 1 << 16  # bytes read of an answer that isn't what was asked for, so that its connection stays usable
# Bytes by which zstd may be longer than what it stands for: three for each block of 128 KiB, some for each frame.
MAX_ZSTD_OVERHEAD = 1 << 16


class Answer(NamedTuple):
    """An answer's status and its body, zstd undone; one byte longer than its limit where it was cut."""

    status: int
    body: bytes


class Exchange:
    """The connections to the server of a URL. Threads may share it.

    `login` holds the headers that log in, `certificate` a PEM file by which this side says who it is, or nothing. No
    more than `seconds` may pass until a connection is there, or between two pieces of an answer.
    """

    def __init__(self, url: str, login: Login | None, certificate: str, seconds: float):
        self._url, self._certificate, self._seconds = url, certificate, seconds
        self._headers = {"User-Agent": "scons-bpf", "Accept-Encoding": "identity", **(login.headers if login else {})}
        self._pool: Any = None
        # What this imports and reads takes longer than an answer, and is no server's fault.
        with contextlib.suppress(FailedTry, CertificatesError):  # the first request says so
            self._pool = new_pool(url, certificate)

    def send(self, method: str, url: str, limit: int, data: bytes | None = None, zstd: bool = False) -> Answer:
        """Sends one request, with `data` as its body, and returns the answer, whose body is cut behind `limit` bytes.

        With `zstd` the body may come compressed. No redirect is followed. Raises FailedTry.
        """
        try:
            return self._sent(method, url, limit, data, zstd)
        except FailedTry as failed:
            if failed.down or failed.tries == 1:
                raise
        # A server may close a connection that was idle just as the next request comes.
        return self._sent(method, url, limit, data, zstd)

    def _sent(self, method: str, url: str, limit: int, data: bytes | None, zstd: bool) -> Answer:
        headers = {**self._headers, "Accept-Encoding": "zstd"} if zstd and _reads_zstd() else self._headers
        with failures_in_words(url):
            self._pool = self._pool or new_pool(self._url, self._certificate)
            response = self._pool.urlopen(
                method,
                url,
                body=data,
                headers=headers,
                redirect=False,
                retries=False,
                preload_content=False,
                timeout=self._seconds,
            )
            try:
                return Answer(response.status, _body(response, limit if response.status == 200 else MAX_REFUSAL_SIZE))
            finally:
                response.close()  # one that was read to its end has given its connection back


def _body(response: Any, limit: int) -> bytes:
    """Reads a body, at most one byte more than `limit`. Raises FailedTry, and what zstd raises."""
    encoding = response.headers.get("content-encoding", "").strip().lower()
    if encoding not in ("", "identity", "zstd"):
        raise FailedTry(f"sends the encoding {encoding[:40]!r}, which was not asked for", tries=1)
    chunks = _bounded(iter(lambda: response.read1(CHUNK, decode_content=False), b""), limit + MAX_ZSTD_OVERHEAD)
    found = bytearray()
    for chunk in _inflated(chunks) if encoding == "zstd" else chunks:
        found += chunk
        if len(found) > limit:
            break
    return bytes(found[: limit + 1])


def _bounded(chunks: Iterable[bytes], limit: int) -> Iterator[bytes]:
    """Yields pieces until they have more than `limit` bytes: zstd may go on for ever and stand for nothing."""
    left = limit
    for chunk in chunks:
        yield chunk
        left -= len(chunk)
        if left < 0:
            return


def _inflated(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yields the content of zstd in pieces of at most CHUNK bytes; bazel-remote sends a frame for each MiB."""
    inflate, ended = zstd_decompressor(), False
    for chunk in chunks:
        while chunk or not inflate.needs_input:
            yield inflate.decompress(chunk, CHUNK)
            chunk, ended = b"", inflate.eof
            if ended:
                chunk, inflate = inflate.unused_data, zstd_decompressor()
    if not ended:
        raise FailedTry("its zstd ends early")


@cache
def _reads_zstd() -> bool:
    try:
        return bool(zstd_decompressor())
    except ArchiveError:
        return False
