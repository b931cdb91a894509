"""Selects the events to show: in the kernel where it can, so that the others make no event; the rest here."""

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
    """The values that an event may have, field by field; an empty field allows all.

    `comms` are patterns as a shell's; `ports` and `networks` match either side.
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
        """Hands the programs, before load, what they can filter by: single values, and any set of kinds."""
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
        """Returns the test for a wanted connection."""
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
        """Returns the test for a wanted event among those that the kernel lets through."""
        wanted, kinds = self.connections(), frozenset(self.kinds)
        return lambda event: (not kinds or event.kind in kinds) and wanted(event)


def _among(name: str, values: frozenset[Any]) -> Callable[[Any], bool]:
    return lambda it: getattr(it, name) in values
