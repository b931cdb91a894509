"""Waits for events and says what is in them."""

import time

# Seconds until what should happen counts as not happening: an emulated machine takes half a minute to start the app.
PATIENCE = 120.0


def seen(skel, wanted, patience=PATIENCE):
    """Returns the events until `wanted(events)` is true; fails with all of them if that takes too long."""
    events = []
    end = time.monotonic() + patience
    while not wanted(events):
        left = end - time.monotonic()
        assert left > 0, f"not seen in {patience} s, among:\n" + "\n".join(map(str, events))
        if skel.maps.events.poll(left):
            skel.maps.events.consume(events.append)
    return events


def facts(event) -> tuple:
    """Returns what tests compare: kind, protocol, both ends as text, pid, comm, direction."""
    ends = f"{event.saddr} {event.sport}", f"{event.daddr} {event.dport}"
    return event.kind.name[6:], event.protocol, *ends, event.pid, event.comm, event.direction.name[10:]


def all_of(*wanted):
    """Returns true if all of these facts are among the events."""
    return lambda events: set(wanted) <= {facts(event) for event in events}


def one(events, wanted):
    """Returns the only event with these facts."""
    (found,) = [event for event in events if facts(event) == wanted]
    return found
