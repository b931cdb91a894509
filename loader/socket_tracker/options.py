"""The command line, and the help that teaches it."""

from __future__ import annotations

import argparse
import ipaddress
import math
import pwd
from collections.abc import Callable, Sequence
from typing import TypeVar

from .filters import PROTOCOLS, Filters
from .socket_tracker_skel import Direction, EventKind
from .tally import SORTS
from .tracker import VARIANTS

T = TypeVar("T")
EVENT_KINDS = {kind.name.replace("EVENT_", "").lower(): kind for kind in EventKind}
DIRECTIONS = {"out": Direction.DIRECTION_OUT, "in": Direction.DIRECTION_IN}
PROTOCOL_NUMBERS = {name: number for number, name in PROTOCOLS.items()}

ABOUT = """\
Shows who talks to whom, as it happens: TCP connect, accept and close, UDP and ICMP echo send. Wants root, or
CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN with a tracefs that may be read.
"""
EPILOG = """\
examples:
  sudo python -m socket_tracker                            a line for each connection and datagram
  sudo python -m socket_tracker --top                      a live table of connections, the latest first
  sudo python -m socket_tracker --top --by process --sort sent
  sudo python -m socket_tracker --pid 4321 --direction out     whom one process calls
  sudo python -m socket_tracker --protocol tcp --port 443,8443 --event connect,fail
  sudo python -m socket_tracker --address 10.0.0.0/8 --comm 'python*' --json | jq .remote_address

filters: an event must fit each that is given; several values, with commas or by giving an option again, are
alternatives. One value of --pid, --uid, --protocol, --port or --direction, and --event, are filtered in the kernel:
what isn't wanted costs next to nothing. Ports and addresses are those of either side.

keys of --top: s another order, r reverse it, b by connection or by process, q quit.

JSON fields: time (ISO 8601, UTC), boot_ns, event (connect, fail, accept, close, send), protocol (tcp, udp, icmp,
icmp6), direction (out, in), pid, tid, uid, comm, local_address, local_port, remote_address, remote_port (an ICMP echo's
local_port is its identifier), socket, duration_ns, sent, received, error; null for what an event doesn't have.

lost events (--buffer was full) are counted in the kernel, told on stderr as it happens, and summed up at the end.
"""


def parser() -> argparse.ArgumentParser:
    """Returns the parser of the command line."""
    command = argparse.ArgumentParser(
        "socket_tracker",
        usage="python -m socket_tracker [options]",
        description=ABOUT,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    shown = command.add_argument_group("what is shown").add_mutually_exclusive_group()
    shown.add_argument("--json", action="store_true", help="JSON lines instead of a table's")
    shown.add_argument("--top", action="store_true", help="a live table; without a terminal, one per interval")
    look = command.add_argument_group("the live table")
    look.add_argument("--by", choices=("connection", "process"), default="connection", help="what a row is of")
    look.add_argument("--sort", choices=SORTS, default="last", help="what comes first: default last, the latest news")
    look.add_argument("--interval", type=_seconds, default=1.0, metavar="SECONDS", help="refresh so often: default 1")
    _add_filters(command.add_argument_group("filters"))
    rest = command.add_argument_group("the rest")
    rest.add_argument("--duration", type=_seconds, default=math.inf, metavar="SECONDS", help="end after so long")
    buffer = "the ring's size, against loss when much comes at once: default 4096"
    rest.add_argument("--buffer", type=_kib, default=4096, metavar="KIB", help=buffer)
    rest.add_argument("--variant", choices=VARIANTS, help="the hooks to use; else the first that this kernel takes")
    rest.add_argument(
        "-v", "--verbose", action="store_true", help="say why variants don't work that this kernel refuses"
    )
    return command


def _add_filters(group: argparse._ArgumentGroup) -> None:
    def add(name: str, parse: Callable[[str], T], metavar: str, help: str) -> None:
        group.add_argument(name, type=_comma_separated(parse), action="append", default=[], metavar=metavar, help=help)

    add("--pid", _pid, "PID", "only these processes")
    add("--comm", str, "NAME", "only threads of these names; * and ? stand for what they do in a shell")
    add("--uid", _uid, "USER", "only these users, by name or number")
    add("--protocol", _one_of("protocol", PROTOCOL_NUMBERS), "NAME", f"only {', '.join(PROTOCOL_NUMBERS)}")
    add("--port", _port, "PORT", "only these ports, of either side")
    add("--address", _network, "ADDRESS", "only these addresses or networks (10.0.0.0/8), of either side")
    add("--direction", _one_of("direction", DIRECTIONS), "WAY", "only out or in: who began")
    add("--event", _one_of("event", EVENT_KINDS), "KIND", f"only {', '.join(EVENT_KINDS)}")


def filters(options: argparse.Namespace) -> Filters:
    """Returns the filters that the command line asks for."""

    def flat(lists: Sequence[Sequence[T]]) -> tuple[T, ...]:
        return tuple(dict.fromkeys(value for values in lists for value in values))

    names = ("pid", "comm", "uid", "protocol", "port", "address", "direction", "event")
    return Filters(*(flat(getattr(options, name)) for name in names))


def _comma_separated(parse: Callable[[str], T]) -> Callable[[str], list[T]]:
    return lambda text: [parse(part.strip()) for part in text.split(",")]


def _one_of(what: str, values: dict[str, T]) -> Callable[[str], T]:
    def parse(text: str) -> T:
        if text.lower() not in values:
            raise argparse.ArgumentTypeError(f"{text!r} is no {what}; take of {', '.join(values)}")
        return values[text.lower()]

    return parse


def _whole_number(text: str, below: int, what: str, least: int = 1) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 12 and least <= int(text) < below):
        raise argparse.ArgumentTypeError(f"{text!r} is no {what}")
    return int(text)


def _pid(text: str) -> int:
    return _whole_number(text, 1 << 22, "process id")  # PID_MAX_LIMIT of linux/threads.h


def _port(text: str) -> int:
    return _whole_number(text, 1 << 16, "port")


def _kib(text: str) -> int:
    return _whole_number(text, (1 << 20) + 1, "number of KiB up to a GiB")


def _uid(text: str) -> int:
    try:
        return pwd.getpwnam(text).pw_uid
    except KeyError:
        return _whole_number(text, (1 << 32) - 1, "user of this machine, nor a number", 0)


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no IP address or network") from None


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds above 0")
    return seconds
