"""A place among the programs of the same hook (linux/bpf.h, BPF_F_BEFORE and its like)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..libbpf.structs import PlacementOptions, sized
from ..link.base import Link
from .base import Program

if TYPE_CHECKING:
    from typing_extensions import TypeAlias

BPF_F_BEFORE, BPF_F_AFTER, BPF_F_PREORDER, BPF_F_LINK = 1 << 3, 1 << 4, 1 << 6, 1 << 13
Neighbour: TypeAlias = "Program | Link | None"


def placement(
    before: Neighbour, after: Neighbour, first: bool, revision: int = 0, preorder: bool = False
) -> PlacementOptions:
    """Returns the options for a place: before or after another program or link, or first; last where none is given.

    Raises ValueError for two places at once, StateError for a neighbour that isn't loaded or attached.
    """
    if sum((before is not None, after is not None, first)) > 1:
        raise ValueError("before, after and first are one place each: give one of them")
    neighbour = before if before is not None else after
    flags = BPF_F_BEFORE if first or before is not None else BPF_F_AFTER if after is not None else 0
    if isinstance(neighbour, Link):
        flags |= BPF_F_LINK
    if preorder:
        flags |= BPF_F_PREORDER
    fd = 0 if neighbour is None else neighbour.fd
    return sized(PlacementOptions, flags=flags, relative_fd=fd, expected_revision=revision)
