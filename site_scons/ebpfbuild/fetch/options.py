"""The ways by which a build may get a pinned artifact."""

from dataclasses import dataclass, field
from pathlib import Path

from .mirror import Login
from .network import Network


@dataclass(frozen=True)
class FetchOptions:
    """The ways by which a build may get an artifact.

    `mirror` is MIRROR= as given, `login` what it is told of who asks, `machine` the root that apt's files are below.
    One `network` should serve a whole build: it remembers which hosts can't be reached.
    """

    cache: Path
    mirror: str | None = None
    offline: bool = False
    release: bool = False
    machine: Path = Path("/")
    network: Network = field(default_factory=Network)
    login: Login | None = None
