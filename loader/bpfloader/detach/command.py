"""`python -m bpfloader detach`: shows what outlasts a process, whose it is, and takes away what is named."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ..errors import AttachError
from ..kernel.bpffs import bpf_folders, pins
from ..suggest import suggestion
from ..text import printable
from .attachments import Attachment, attachments, remove
from .pins import unpin


class Selection(NamedTuple):
    """What to take away: everything of XDP or traffic control at these interfaces, these pins.

    With `programs`, names or ids, only those.
    """

    xdp: Sequence[str]
    tc: Sequence[str]
    pins: Sequence[str]
    programs: Sequence[str]


def listing() -> str:
    """Returns a table of what is attached to interfaces and what is pinned. Raises OSError, PrivilegeError."""
    lines = ["At interfaces"]
    lines += _attachment_lines(attachments()) or ["  nothing"]
    lines += ["", "Pinned"]
    found = pins()
    width = max((len(each.kind) for each in found), default=0)
    lines += [f"  {each.kind:{width}}  {each.name}  {printable(each.path)}" for each in found]
    lines += [] if found else ["  nothing" if bpf_folders() else "  nothing: no BPF file system is mounted"]
    return "\n".join(lines)


def take_away(selection: Selection) -> str:
    """Removes what is selected and returns a line for each. Raises AttachError where there is no such thing.

    Raises OSError, PrivilegeError. What comes before the error is gone by then.
    """
    there = attachments() if selection.xdp or selection.tc else []
    wanted = [(kind, name) for kind, names in (("xdp", selection.xdp), ("tc", selection.tc)) for name in names]
    lines = []
    for kind, interface in wanted:
        chosen = [each for each in there if (each.kind, each.interface) == (kind, interface)]
        if selection.programs:
            chosen = [each for each in chosen if any(map(each.names_program, selection.programs))]
        if not chosen:
            raise _nothing_there(kind, interface, there, selection.programs)
        for each in chosen:
            remove(each)
        lines += [f"detached{line[1:]}" for line in _attachment_lines(chosen)]
    for path in selection.pins:
        pin = unpin(path)
        lines.append(f"unpinned the {pin.kind} {pin.name} at {pin.path}")
    return "\n".join(lines)


def _attachment_lines(shown: Sequence[Attachment]) -> list[str]:
    rows = [(each.interface, each.place, f"{each.name} (id {each.program})", owner_text(each)) for each in shown]
    widths = [max(map(len, column)) for column in zip(*rows)]
    return ["  " + "  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]


def owner_text(attachment: Attachment) -> str:
    """Returns whose it is: the processes that hold it, or that none does."""
    if not attachment.owners:
        return "no process holds it"
    return "held by " + ", ".join(f"{name} ({pid})" for pid, name in attachment.owners[:3])


def _nothing_there(kind: str, interface: str, there: Iterable[Attachment], programs: Sequence[str]) -> AttachError:
    from socket import if_nameindex

    names = [name for _, name in if_nameindex()]
    if interface not in names:
        fix = suggestion(interface, names, f"there are {', '.join(names)}")
        return AttachError(f"there is no interface {interface}", fix=fix)
    others = [f"{each.name} (id {each.program})" for each in there if (each.kind, each.interface) == (kind, interface)]
    which = f" {' or '.join(programs)}" if programs else ""
    what = f"{interface} has no program{which} of {'XDP' if kind == 'xdp' else 'traffic control'}"
    return AttachError(what, fix=f"it has {', '.join(others)}" if others else "nothing is to be done")
