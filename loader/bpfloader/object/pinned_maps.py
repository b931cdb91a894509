"""Compares maps that exist with what an object declares, and has libbpf reuse those that are pinned."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from ..errors import COMMAND, MapError
from ..kernel.map_type import BPF_F_RDONLY_PROG, MapType
from ..libbpf.library import library
from ..libbpf.pin import pinned_fd
from ..map.base import Map
from ..map.info import MapInfo, info_of

if TYPE_CHECKING:
    from ..owner import Owner

COMPARED = ("type", "key_size", "value_size", "max_entries", "map_flags", "map_extra")
# Of these the kernel sets BPF_F_RDONLY_PROG itself (dev_map_init_map in kernel/bpf/devmap.c), which nobody may ask for.
READ_ONLY_FOR_PROGRAMS = (MapType.DEVMAP, MapType.DEVMAP_HASH)


class MapHandle(NamedTuple):
    """libbpf's struct bpf_map * of an object's map, and its name there: `events`, or `OBJECT.bss`."""

    handle: int
    name: str


def created_maps(bpf: Owner) -> Iterator[MapHandle]:
    """Yields the maps that load creates or takes from a pin: not those without autocreate or given by `reuse`."""
    reused = {part._bpf_map for part in bpf.parts if isinstance(part, Map) and part._is_reused}
    handle = None
    while handle := library().bpf_object__next_map(bpf.handle, handle):
        if handle not in reused and library().bpf_map__autocreate(handle):
            yield MapHandle(handle, bpf.map_name(handle))


@contextlib.contextmanager
def taking_pinned_maps(bpf: Owner) -> Iterator[None]:
    """Compares each map that is pinned where load would pin it with its declaration; load the object in the `with`.

    libbpf before 1.7 takes no devmap from a pin, since it compares the flag that the kernel sets: it gets the map
    itself, and has no pin for it meanwhile. Raises MapError for a map of another declaration.
    """
    with contextlib.ExitStack() as stack:
        for map_ in created_maps(bpf):
            pin = library().bpf_map__pin_path(map_.handle)
            if not pin or not os.path.lexists(pin):
                continue
            path = os.fsdecode(pin)
            fd = pinned_fd(path, "map", MapError)
            try:
                info = info_of(fd)
                if differs := pinned_difference(bpf, map_.handle, info):
                    what = f"the map {map_.name} pinned at {path} has {differs}"
                    fix = f"declare it as before, or give its contents up: {COMMAND} detach --pin {path}"
                    raise MapError(what, fix=fix)
                if info.type in READ_ONLY_FOR_PROGRAMS:
                    library().bpf_map__reuse_fd(map_.handle, fd)
                    library().bpf_map__set_pin_path(map_.handle, None)
                    stack.callback(library().bpf_map__set_pin_path, map_.handle, pin)
            finally:
                os.close(fd)
        yield


def pinned_difference(bpf: Owner, handle: int, info: MapInfo) -> str:
    """Names what a pinned map and the declared one of a struct bpf_map * differ in; empty where they are alike."""
    declared = {name: bpf.map_attribute(handle, name) for name in COMPARED}
    there = {name: getattr(info, name) for name in COMPARED}
    if info.type in READ_ONLY_FOR_PROGRAMS:
        for flags in (declared, there):
            flags["map_flags"] &= ~BPF_F_RDONLY_PROG
    if declared["type"] == MapType.PERF_EVENT_ARRAY and not declared["max_entries"]:  # as many as there are CPUs
        del declared["max_entries"]
    unlike = [name for name, value in declared.items() if there[name] != value]
    if not unlike:
        return bpf.map_difference(handle, info)
    found, wanted = (", ".join(f"{name} {values[name]}" for name in unlike) for values in (there, declared))
    return f"{found}, the program declares {wanted}"
