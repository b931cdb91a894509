"""Lists the programs, maps and links of the system, with who holds them, where they are pinned and attached.

The kernel lists ids for CAP_SYS_ADMIN alone. Without it, a list has what this process can see otherwise: the pins that
it may open, its own descriptors, and what /proc tells of those of its user's processes. Who holds something is read
from /proc/<pid>/fdinfo: of the processes that this one may look at, in its own PID namespace.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from itertools import islice
from typing import Any, NamedTuple, TypeVar

from ..detach.attachments import attachments
from ..errors import BpfError, PrivilegeError, warn
from ..kernel.bpffs import Pin, pins
from ..kernel.holders import Holders, Process, descriptors, holders
from ..kernel.link_places import LinkPlace, link_place
from ..kernel.map_type import MapType
from ..kernel.objects import Kind, ProgramInfo, fd_by_id, ids, memlock, program_info, program_type
from ..kernel.unlinked import PlacedProgram, cgroup_programs, namespace_programs, perf_event_programs, sockmap_programs
from ..libbpf.library import library
from ..libbpf.pin import kind_of
from ..map.info import MapInfo, info_of

SEEN_ONLY = "only what this user can see otherwise is listed; run as root, or with CAP_SYS_ADMIN, for all of the system"
MAX_LISTED = 100_000  # of a kind
PROGRAM_FIELDS = "memlock", "verified_insns", "run_time_ns", "run_cnt", "recursion_misses"  # of an fdinfo
T = TypeVar("T")


class SystemProgram(NamedTuple):
    """A loaded program: the kernel's description, the processes that hold it or a link of it, its pins, its places."""

    info: ProgramInfo
    holders: tuple[Process, ...]
    pins: tuple[str, ...]
    attached: tuple[str, ...]


class SystemMap(NamedTuple):
    """A map: the kernel's description, the bytes of memory it takes, its holders and pins, the programs that use it."""

    info: MapInfo
    memlock: int
    holders: tuple[Process, ...]
    pins: tuple[str, ...]
    programs: tuple[int, ...]

    @property
    def type(self) -> str:
        """The map's type as in enum bpf_map_type, in lower case, or its number where it is younger than the loader."""
        number = self.info.type
        return MapType(number).name.lower() if number in list(MapType) else str(number)


class SystemLink(NamedTuple):
    """A link: its id, type, program and place in words, the processes that hold it, its pins, its program's name."""

    id: int
    type: str
    program: int
    place: str
    holders: tuple[Process, ...]
    pins: tuple[str, ...]
    name: str


def programs() -> list[SystemProgram]:
    """Lists the loaded programs by id. Warns where this process may see only some of them."""
    return _warned(Snapshot()).programs


def maps() -> list[SystemMap]:
    """Lists the maps by id. Warns where this process may see only some of them."""
    return _warned(Snapshot()).maps


def links() -> list[SystemLink]:
    """Lists the links by id. Warns where this process may see only some of them."""
    return _warned(Snapshot()).links


class Snapshot:
    """What there is at one time. Each list is made when it is first asked for.

    `note` says in a line what is missing, and what to do; empty where the kernel has listed all.
    """

    def __init__(self) -> None:
        self._descriptors = list(descriptors())
        self.note = ""
        try:
            next(ids("prog"), 0)
        except PrivilegeError as error:
            self.note = f"{error.what}: {SEEN_ONLY}"

    @cached_property
    def program_infos(self) -> dict[int, ProgramInfo]:
        """The kernel's description of each program by id, in their order."""
        infos = {info.id: info for fd in self._opened("prog", "program") if (info := _told(program_info, fd))}
        for fields in self._fields("prog_id"):
            if int(fields["prog_id"]) not in infos and "prog_type" in fields:
                info = _program_of_fdinfo(fields)
                infos[info.id] = info
        return dict(sorted(infos.items()))

    @cached_property
    def programs(self) -> list[SystemProgram]:
        """The programs by id."""
        places = self._places
        return [
            SystemProgram(info, _of(self._holders.programs, number), self._pinned("program", number),
                          tuple(places.get(number, ())))
            for number, info in self.program_infos.items()
        ]  # fmt: skip

    @cached_property
    def maps(self) -> list[SystemMap]:
        """The maps by id."""
        users: dict[int, list[int]] = {}
        for program in self.program_infos.values():
            for number in program.map_ids:
                users.setdefault(number, []).append(program.id)
        found = {}
        for fd in self._opened("map", "map"):
            if info := _told(info_of, fd):
                found[info.id] = info, memlock(fd)
        for fields in self._fields("map_id"):
            if int(fields["map_id"]) not in found:
                found[int(fields["map_id"])] = _map_of_fdinfo(fields), _number(fields, "memlock")
        return [
            SystemMap(info, taken, _of(self._holders.maps, number), self._pinned("map", number),
                      tuple(users.get(number, ())))
            for number, (info, taken) in sorted(found.items())
        ]  # fmt: skip

    @cached_property
    def links(self) -> list[SystemLink]:
        """The links by id."""
        names = {each.id: each.name for each in self.program_infos.values()}
        return [
            SystemLink(each.id, each.type, each.program, each.place, _of(self._holders.links, each.id),
                       self._pinned("link", each.id), names.get(each.program, ""))
            for each in self._link_places
        ]  # fmt: skip

    @cached_property
    def _holders(self) -> Holders:
        return holders(self._descriptors)

    @cached_property
    def _pins(self) -> list[Pin]:
        return pins()

    @cached_property
    def _pin_paths(self) -> dict[tuple[str, int], list[str]]:
        """The paths by kind and id: a machine may have thousands of pins."""
        paths: dict[tuple[str, int], list[str]] = {}
        for pin in self._pins:
            paths.setdefault((pin.kind, pin.id), []).append(pin.path)
        return paths

    @cached_property
    def _link_places(self) -> list[LinkPlace]:
        found = {each.id: each for fd in self._opened("link", "link") if (each := _told(link_place, fd))}
        for fields in self._fields("link_id"):
            if (number := int(fields["link_id"])) not in found:
                found[number] = LinkPlace(number, fields.get("link_type", ""), _number(fields, "prog_id"), "")
        return [each for _, each in sorted(found.items())]

    @cached_property
    def _places(self) -> dict[int, list[str]]:
        """The places of each program: those of its links, and what is at interfaces without a link."""
        places: dict[int, list[str]] = {}
        for link in self._link_places:
            places.setdefault(link.program, []).append(link.place or link.type)
        with contextlib.suppress(OSError, PrivilegeError):
            for each in attachments(self._holders):
                if not getattr(each.hook, "link", 0):
                    places.setdefault(each.program, []).append(f"{each.place} {each.interface}")
        for program, place in self._unlinked():
            if place not in places.setdefault(program, []):  # a link's may be told twice
                places[program].append(place)
        return places

    def _unlinked(self) -> Iterator[PlacedProgram]:
        """Yields the programs of cgroups, this network namespace, perf events and sockmaps, with or without a link."""
        yield from cgroup_programs()
        yield from namespace_programs()
        yield from perf_event_programs()
        for fd in self._opened("map", "map"):
            info = _told(info_of, fd)
            if info and info.type in (MapType.SOCKMAP, MapType.SOCKHASH):
                yield from sockmap_programs(fd, info.id)

    def _pinned(self, kind: str, number: int) -> tuple[str, ...]:
        return tuple(self._pin_paths.get((kind, number), ()))

    def _opened(self, kind: Kind, word: str) -> Iterator[int]:
        """Yields a descriptor of each one that this process can open, which is closed afterwards."""
        for fd in self._descriptors_of(kind, word):
            if fd is not None:
                try:
                    yield fd
                finally:
                    os.close(fd)

    def _descriptors_of(self, kind: Kind, word: str) -> Iterator[int | None]:
        """Yields a new descriptor of each one, None for what has gone meanwhile."""
        if not self.note:
            for number in islice(ids(kind), MAX_LISTED):
                yield _told(fd_by_id, kind, number)
            return
        for pin in self._pins:
            if pin.kind == word:
                yield _told(library().bpf_obj_get, os.fsencode(pin.path))
        for name in os.listdir("/proc/self/fd"):
            if _told(kind_of, int(name)) == word:
                yield _told(os.dup, int(name))

    def _fields(self, name: str) -> list[dict[str, str]]:
        """Returns the fdinfo of all descriptors of a kind, by the field of its id, where ids can't be listed."""
        return [each.fields for each in self._descriptors if self.note and each.fields.get(name, "").isdigit()]


def _warned(snapshot: Snapshot) -> Snapshot:
    if snapshot.note:
        warn(snapshot.note)
    return snapshot


def _told(ask: Callable[..., T], *arguments: object) -> T | None:
    """Returns what a call gives; None where that has gone meanwhile, or this process may not ask."""
    try:
        return ask(*arguments)
    except (BpfError, OSError):
        return None


def _of(held: Mapping[int, Iterable[Process]], number: int) -> tuple[Process, ...]:
    return tuple(held.get(number, ()))


def _number(fields: Mapping[str, str], name: str) -> int:
    """Returns a number of an fdinfo, which may be in hex; 0 for one that isn't there."""
    with contextlib.suppress(ValueError):
        return int(fields.get(name, "0"), 0)
    return 0


def _program_of_fdinfo(fields: Mapping[str, str]) -> ProgramInfo:
    """Describes a program as far as the descriptor of another process tells; it has no name."""
    told: dict[str, Any] = dict.fromkeys(ProgramInfo._fields, 0)
    told.update({name: _number(fields, name) for name in PROGRAM_FIELDS})
    texts = {"name": "", "type": program_type(_number(fields, "prog_type")), "tag": fields.get("prog_tag", "")}
    return ProgramInfo(**{**told, **texts, "id": _number(fields, "prog_id"), "map_ids": ()})


def _map_of_fdinfo(fields: Mapping[str, str]) -> MapInfo:
    """Describes a map as far as the descriptor of another process tells; it has no name."""
    told: dict[str, Any] = {name: _number(fields, name) for name in MapInfo._fields}
    return MapInfo(**{**told, "name": "", "id": _number(fields, "map_id"), "type": _number(fields, "map_type")})
