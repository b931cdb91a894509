"""Shows who talks to whom on this machine: TCP, UDP and ICMP, seen by eBPF as it happens.

`python -m socket_tracker` prints it. In a program of one's own:

    from socket_tracker import SocketTracker

    with SocketTracker.open() as bpf:
        bpf.load()
        bpf.attach()
        for event in bpf.maps.events:
            print(event.kind.name, event.pid, event.comm, event.daddr, event.dport)

`start` does the first three steps, by whichever hooks this kernel takes. Errors are `bpfloader.BpfError`s.
"""

from . import bpfloader
from .socket_tracker_skel import Connection, Direction, Event, EventKind
from .tracker import VARIANTS, SocketTracker, start

__all__ = ["VARIANTS", "Connection", "Direction", "Event", "EventKind", "SocketTracker", "bpfloader", "start"]
