"""Who talks to whom on this machine: TCP, UDP and ICMP, seen by eBPF as it happens.

`python -m socket_tracker` shows it. In a program of one's own:

    from socket_tracker import start

    with start().object as skel:
        for event in skel.maps.events.events():
            print(event.kind.name, event.connection.pid, event.connection.comm)
"""

from .variants import start

__all__ = ["start"]
