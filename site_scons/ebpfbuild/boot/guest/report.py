"""Writes reports to the serial line; wire.py of the core reads them."""

import json
import os
import sys
import zlib
from typing import Any


class Reporter:
    """Writes a line for each report to a file descriptor."""

    def __init__(self, nonce: str, fd: int = 1):
        self._nonce, self._fd = nonce, fd

    def __call__(self, kind: str, **facts: Any) -> None:
        """Writes one line at once, so that no message of another process cuts it."""
        text = json.dumps({"kind": kind, **facts}, separators=(",", ":")).encode()
        line = f"\n@boot {self._nonce} {zlib.crc32(text):08x} ".encode() + text + b"\n"
        sys.stdout.flush()
        while line:
            line = line[os.write(self._fd, line) :]
