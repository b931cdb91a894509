"""Finds the alternate of a pinned vmlinux.h that has a type which the pinned one lacks."""

import re
from pathlib import Path

from ..files import read_regular
from ..pins.pins import HeaderPin


def alternate_with(name: str, pin: HeaderPin, cache: Path) -> str:
    """Names the first alternate that has a type such as `struct request`; empty where none has or may have it.

    An alternate that the store, in the folder `cache`, doesn't hold isn't fetched: it may have the type.
    """
    unknown = None
    for alternate in pin.alternates:
        try:
            text = read_regular(cache / "sha256" / (alternate.sha256 or "unpinned"))
        except OSError:
            unknown = unknown or alternate
            continue
        if re.search(rf"^(?:{re.escape(name)} {{|typedef .*\b{re.escape(name)};)".encode(), text, re.MULTILINE):
            return f"the alternate of Linux {alternate.kernel} has it: let its lines be those of [vmlinux.{pin.arch}]"
    return f"the alternate of Linux {unknown.kernel}, a distribution's, may have it" if unknown else ""
