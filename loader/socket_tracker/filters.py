"""What is wanted of all that happens: by the kernel where it can, so that it makes no event; the rest here."""

from __future__ import annotations

from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, NamedTuple, Union

if TYPE_CHECKING:
    from ipaddress import IPv4Network, IPv6Network

    from .socket_tracker_skel import Connection, Direction, Event, EventKind, SocketTrackerRodata

    Network = Union[IPv4Network, IPv6Network]
    Connected = Union[Connection, Event]

PROTOCOLS = {1: "icmp", 6: "tcp", 17: "udp", 58: "icmp6"}  # IANA's protocol numbers


class Filters(NamedTuple):
    """What an event must be: of each, one of those given; anything where none is given.

    `comms` are patterns as a shell's, `ports` and `networks` are of either side.
    """

    pids: tuple[int, ...] = ()
    comms: tuple[str, ...] = ()
    uids: tuple[int, ...] = ()
    protocols: tuple[int, ...] = ()
    ports: tuple[int, ...] = ()
    networks: tuple[Network, ...] = ()
    directions: tuple[Direction, ...] = ()
    kinds: tuple[EventKind, ...] = ()

    def set(self, rodata: SocketTrackerRodata) -> None:
        """Tells the programs, before load, what they can filter by: one of each, and all kinds of events."""
        for name, values in (
            ("filter_pid", self.pids),
            ("filter_uid", self.uids),
            ("filter_protocol", self.protocols),
            ("filter_port", self.ports),
            ("filter_direction", self.directions),
        ):
            if len(values) == 1:
                setattr(rodata, name, values[0])
        rodata.filter_kinds = sum(1 << kind for kind in set(self.kinds))

    def connections(self) -> Callable[[Connected], bool]:
        """Whether a connection is wanted."""
        checks: list[Callable[[Connected], bool]] = []
        for name, values in (
            ("pid", self.pids),
            ("uid", self.uids),
            ("protocol", self.protocols),
            ("direction", self.directions),
        ):
            if values:
                checks.append(_among(name, frozenset(values)))
        if self.ports:
            ports = frozenset(self.ports)
            checks.append(lambda it: it.sport in ports or it.dport in ports)
        if self.comms:
            checks.append(lambda it: any(fnmatchcase(it.comm, pattern) for pattern in self.comms))
        if self.networks:
            checks.append(lambda it: any(it.daddr in network or it.saddr in network for network in self.networks))
        return lambda it: all(check(it) for check in checks)

    def events(self) -> Callable[[Event], bool]:
        """Whether an event is wanted, for those that the kernel lets through."""
        wanted, kinds = self.connections(), frozenset(self.kinds)
        return lambda event: (not kinds or event.kind in kinds) and wanted(event)


def _among(name: str, values: frozenset[Any]) -> Callable[[Any], bool]:
    return lambda it: getattr(it, name) in values
