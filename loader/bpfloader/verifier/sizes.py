"""Sizes of maps that an object leaves to its tool, which isn't there when the object is verified or tried."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..kernel.map_type import BPF_F_STACK_BUILD_ID, MapType
from ..libbpf.library import library

if TYPE_CHECKING:
    from ..object.bpf_object import Object

# Maps whose size isn't theirs to choose, or is libbpf's when they declare none.
SIZELESS = frozenset((
    MapType.SK_STORAGE, MapType.INODE_STORAGE, MapType.TASK_STORAGE, MapType.CGROUP_STORAGE, MapType.CGRP_STORAGE,
    MapType.PERCPU_CGROUP_STORAGE, MapType.STRUCT_OPS, MapType.PERF_EVENT_ARRAY,
))  # fmt: skip
ADDRESS_SIZE, BUILD_ID_FRAME_SIZE = 8, 32  # of a frame of a stack trace: an address, struct bpf_stack_build_id


def give_sizes(bpf: Object) -> None:
    """Gives maps that declare no size, since their tool sets it at run time, one entry, and stack traces one frame.

    The verifier asks for neither. Call it between open and load.
    """
    for bpf_map in map_handles(bpf):
        if library().bpf_map__type(bpf_map) not in SIZELESS:
            _give_size(bpf_map)
        if inner := library().bpf_map__inner_map(bpf_map):
            _give_size(inner)


def map_handles(bpf: Object) -> Iterator[int]:
    """Yields libbpf's struct bpf_map * of each map of an object."""
    bpf_map = None
    while bpf_map := library().bpf_object__next_map(bpf.handle, bpf_map):
        yield bpf_map


def _give_size(bpf_map: int) -> None:
    if not library().bpf_map__max_entries(bpf_map):
        library().bpf_map__set_max_entries(bpf_map, 1)
    if library().bpf_map__type(bpf_map) == MapType.STACK_TRACE and not library().bpf_map__value_size(bpf_map):
        build_ids = library().bpf_map__map_flags(bpf_map) & BPF_F_STACK_BUILD_ID
        library().bpf_map__set_value_size(bpf_map, BUILD_ID_FRAME_SIZE if build_ids else ADDRESS_SIZE)
