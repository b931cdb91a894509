"""Reads which wheel pip.lock pins."""

import re
from pathlib import Path
from typing import NamedTuple

from .errors import SetupError


class Pin(NamedTuple):
    """The wheel that is wanted."""

    version: str
    sha256: str

    @property
    def wheel(self) -> str:
        """The wheel's file name."""
        return f"pip-{self.version}-py3-none-any.whl"


def read_pin(lock: Path) -> Pin:
    """Reads `pip==VERSION --hash=sha256:DIGEST`, a requirement as pip writes it. Raises SetupError."""
    try:
        text = lock.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise SetupError(f"{lock.name} can't be read: {error.strerror}; git checkout {lock.name}") from None
    found = re.search(r"^pip==([\w.]+)\s*\\?\s*--hash=sha256:([0-9a-f]{64})\s*$", text, re.MULTILINE)
    if not found:
        raise SetupError(
            f"{lock.name} pins no pip; write pip==VERSION --hash=sha256:DIGEST, or git checkout {lock.name}"
        )
    return Pin(*found.groups())
