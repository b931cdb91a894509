"""An object whose maps and links stay in a folder of a BPF file system, where the next start finds them.

The layout: FOLDER/maps/NAME for each map (`_bss` and `_data` are the global variables; no name there has a dot), and
FOLDER/links/PROGRAM for each link; a struct_ops map's link has the map's name. The folder's lock is held while an
object starts.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from ..errors import COMMAND, MapError, StateError, warn
from ..kernel.map_type import BPF_F_RDONLY_PROG, MapType
from ..libbpf.c_text import c_path
from ..libbpf.library import library
from ..libbpf.pin import pinned_fd
from ..link.folder import locked, swap_pin
from ..map.info import info_of
from ..program.struct_ops import StructOpsMap
from ..program.takeover import take_over_by_section, take_over_table, taking_over
from .collections import nothing_attached
from .pinned_maps import MapHandle, created_maps, pinned_difference

if TYPE_CHECKING:
    from typing import Protocol

    from ..link.base import Link
    from ..link.collection import Links
    from ..owner import Owner
    from .collections import Progs

    class Loadable(Owner, Protocol):
        """An object (see Object in bpf_object.py), loaded or not."""

        progs: Progs
        _load_tried: bool
        _pin_folder: str

        @property
        def links(self) -> Links: ...

        def load(self, *, log_level: int = 0) -> None: ...


class FreshMap(NamedTuple):
    """A data section of another size or layout than the pinned one at `path`; `handle` is libbpf's struct bpf_map *."""

    handle: int
    path: str


def load_pinned(bpf: Loadable, folder: str, log_level: int) -> None:
    """Loads an object with the maps pinned in a folder, and pins there those that it makes.

    Raises MapError for a pinned map of another declaration, AttachError, and what Object.load does.
    """
    with locked(folder):
        _load(bpf, folder, log_level)


def attach_pinned(bpf: Loadable, folder: str) -> list[Link]:
    """Attaches an object's programs by links pinned in a folder, taking over those that are there; all or nothing.

    Loads the object first, if it isn't. Raises what load_pinned, Object.attach and Program.attach_pinned do.
    """
    with locked(folder):
        if not bpf._load_tried:
            _load(bpf, folder)
        elif bpf._pin_folder != folder:
            what = f"the object was loaded without the maps pinned in {folder}"
            raise StateError(what, fix="call attach(pin=…) without load before it, or load(pin=…) with the same folder")
        links = os.path.join(folder, "links")
        return _attach(bpf, links)


def _attach(bpf: Loadable, folder: str) -> list[Link]:
    with taking_over(bpf, folder) as (undo, done):
        bpf.require_loaded("a link")
        _warn_of_others(bpf, folder)  # first: where warnings are exceptions, nothing is attached
        found = []
        for program in bpf.progs:
            path = os.path.join(folder, program.name)
            if program.autoload and program.autoattach and (link := take_over_by_section(program, path, undo, done)):
                found.append(link)
        for table in bpf.parts:
            if isinstance(table, StructOpsMap) and table.autoattach and table.autocreate:
                found.append(take_over_table(table, os.path.join(folder, table.name), undo, done))
        if not found and (error := nothing_attached(bpf.progs, bpf.links)):
            raise error
        return found


def _warn_of_others(bpf: Loadable, folder: str) -> None:
    """Warns of pinned links whose programs the object doesn't have: an earlier version left them, and they run."""
    known = {program.name for program in bpf.progs} | {getattr(part, "name", "") for part in bpf.parts}
    for name in sorted({*os.listdir(folder)} - known):
        path = os.path.join(folder, name)
        what = f"{path} is the link of a program that this object doesn't have, and still runs"
        warn(f"{what}; remove it: {COMMAND} detach --pin {path}")


def _load(bpf: Loadable, folder: str, log_level: int = 0) -> None:
    with bpf.lock:
        bpf.require_open("the folder of pins")
        maps = os.path.join(folder, "maps")
        with locked(maps):
            fresh = list(_use_pinned_maps(bpf, maps))
            bpf.load(log_level=log_level)
            for each in fresh:
                swap_pin(library().bpf_map__fd(each.handle), each.path, "a data section")
        bpf._pin_folder = folder


def _use_pinned_maps(bpf: Loadable, folder: str) -> Iterator[FreshMap]:
    """Lets libbpf pin the maps of an object to a folder, or take those that are pinned there.

    Left out are constants, which belong to one version of the programs, struct_ops, and maps that have a pin or were
    given by `reuse`. Yields the data sections that are unlike the pinned ones: they are to be pinned after load.
    """
    for map_ in created_maps(bpf):
        constant = bpf.map_attribute(map_.handle, "map_flags") & BPF_F_RDONLY_PROG
        if constant or bpf.map_attribute(map_.handle, "type") == MapType.STRUCT_OPS:
            continue
        if library().bpf_map__pin_path(map_.handle):
            continue
        section = map_.name[max(0, map_.name.find(".")) :]  # of OBJECT.bss; events is all of it
        path = os.path.join(folder, section.replace(".", "_"))
        if "." in map_.name and os.path.lexists(path) and _is_unlike(bpf, map_, path):
            yield FreshMap(map_.handle, path)
        else:
            library().bpf_map__set_pin_path(map_.handle, c_path(path))


def _is_unlike(bpf: Loadable, map_: MapHandle, path: str) -> bool:
    """Returns True for a pinned data section of other variables. Raises MapError for what is no map."""
    fd = pinned_fd(path, "map", MapError)
    try:
        return bool(pinned_difference(bpf, map_.handle, info_of(fd)))
    finally:
        os.close(fd)
