"""Asks a debuginfod server for the debug file of a build (debuginfod(8) of elfutils): GET URL/buildid/ID/debuginfo.

Only where the user names a server: it learns which builds run here. What it sends counts only if it has the build id
that was asked for.
"""

from __future__ import annotations

import tempfile
import time
import urllib.error
import urllib.request
from contextlib import ExitStack
from http.client import HTTPException
from typing import IO, Any, BinaryIO, cast
from urllib.parse import urlsplit

from ..errors import warn
from .binary import Binary

MAX_BYTES = 512 << 20  # of a debug file
SILENCE, WHOLE_TIME = 10.0, 120.0  # seconds without an answer, and for a whole file
CHUNK = 1 << 16
LOOPBACK = ("127.0.0.1", "::1", "localhost")


class Debuginfod:
    """A server of debug files. Raises ValueError for an address that is neither https nor this machine's own."""

    def __init__(self, url: str):
        require_safe(url)
        self.url, self._is_asked = url.rstrip("/"), True
        self._opener = urllib.request.build_opener(_SafeRedirects)

    def debug_file(self, build_id: bytes, stack: ExitStack) -> Binary | None:
        """Returns the debug file of a build, kept until the stack ends; None without one, or an answer that fits.

        After the first failure it warns, once, and asks no more: else each stripped file would wait for the server.
        """
        if not build_id or not self._is_asked:
            return None
        address = f"{self.url}/buildid/{build_id.hex()}/debuginfo"
        file = cast(BinaryIO, stack.enter_context(tempfile.TemporaryFile()))
        try:
            with self._opener.open(address, timeout=SILENCE) as answer:
                _copy(answer, file)
            found = Binary(file)
            if found.build_id() != build_id:
                raise ValueError("the file is of another build")
            return found if found.has_whole_table() else None
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == 404:
                return None
            why = f"HTTP {error.code}"
        except (OSError, ValueError, HTTPException) as error:
            why = str(error) or type(error).__name__
        self._is_asked = False
        what = f"the debuginfod server {urlsplit(self.url).hostname} gives no debug files ({why})"
        warn(f"{what}; check its address and the network")
        return None


def require_safe(url: str) -> None:
    """Raises ValueError unless an address is https, or plain http of this machine."""
    parts = urlsplit(url)
    if not parts.hostname or (parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOOPBACK)):
        where = f"{parts.scheme}://{parts.hostname or ''}"
        raise ValueError(f"the debuginfod server {where} has no https address; name it as https://HOST")


class _SafeRedirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to safe addresses alone."""

    def redirect_request(self, request: Any, file: IO[bytes], code: int, message: str, headers: Any, url: str) -> Any:
        require_safe(url)
        return super().redirect_request(request, file, code, message, headers, url)


def _copy(answer: Any, file: BinaryIO) -> None:
    """Copies an answer's body to a file. Raises ValueError for one that is too large or too slow, or is cut short."""
    end, expected = time.monotonic() + WHOLE_TIME, answer.headers.get("Content-Length")
    size = 0
    while chunk := answer.read1(CHUNK):
        size += len(chunk)
        if size > MAX_BYTES or time.monotonic() > end:
            raise ValueError(f"more than {MAX_BYTES >> 20} MiB, or more than {WHOLE_TIME:.0f} s")
        file.write(chunk)
    if expected is not None and expected.isdecimal() and size != int(expected):
        raise ValueError(f"{size} bytes of {expected}")
