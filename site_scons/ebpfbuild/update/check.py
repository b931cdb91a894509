"""Fetches every source of every pin again, past the store, and compares the digests."""

import shutil
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from ..console import Reporter
from ..errors import ArchiveError, FetchError, MismatchError, PinError
from ..fetch.obtain import obtain_header, obtain_tree
from ..fetch.options import FetchOptions
from ..pins.pins import ArtifactSource, HeaderPin, TreePin

SAME, DIFFERS, UNREACHABLE, UNPINNED = "same", "differs", "can't be had", "no sha256"


class Checked(NamedTuple):
    """A source of a pin: what came of it (SAME …), the place that answered, and the reasons where it isn't SAME."""

    key: str
    source: str
    outcome: str
    via: str
    details: tuple[str, ...]

    def data(self) -> dict[str, Any]:
        """Returns it for JSON."""
        return {**self._asdict(), "details": list(self.details)}

    def line(self) -> str:
        """Returns it in a line."""
        via = f" (from {self.via})" if self.via and self.via not in self.source else ""
        return f"{self.outcome:12}  {self.key}: {self.source}{via}"


def check_pins(pins: Iterable[HeaderPin | TreePin], options: FetchOptions, report: Reporter) -> Iterator[Checked]:
    """Yields each source of the pins, those of alternates among them, as it is checked. Raises CacheError.

    Each is fetched into an empty store of its own, which stays where it holds bytes that differ.
    """
    options.cache.mkdir(parents=True, exist_ok=True)
    for pin, source in _each_source(pins):
        folder = Path(tempfile.mkdtemp(prefix="check-", dir=options.cache))
        found = _checked(pin, source, replace(options, cache=folder, release=True), report)
        if found.outcome != DIFFERS:
            shutil.rmtree(folder, ignore_errors=True)
        yield found


def _each_source(pins: Iterable[HeaderPin | TreePin]) -> Iterator[tuple[HeaderPin | TreePin, ArtifactSource]]:
    for pin in pins:
        if isinstance(pin, TreePin):
            for source in pin.sources:
                yield pin._replace(sources=(source,)), source
            continue
        for header in (pin, *pin.alternates):
            yield header._replace(alternates=()), header.source


def _checked(pin: HeaderPin | TreePin, source: ArtifactSource, options: FetchOptions, report: Reporter) -> Checked:
    def outcome(text: str, via: str = "", details: tuple[str, ...] = ()) -> Checked:
        return Checked(pin.key, source.shown, text, via, details)

    if not pin.sha256:
        return outcome(UNPINNED, details=(f"{pin.where}: build once, and paste what it prints",))
    try:
        got = obtain_tree(pin, options, report) if isinstance(pin, TreePin) else obtain_header(pin, options, report)
        return outcome(SAME, got.via)
    except MismatchError as error:
        return outcome(DIFFERS, details=error.details or (error.what,))
    except (FetchError, ArchiveError, PinError) as error:
        return outcome(UNREACHABLE, details=error.details or (error.what,))
