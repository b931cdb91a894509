"""Map, the base of all classes of maps: attributes, pins, reuse, and maps that exist already."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar, cast

from ..codec.base import NATIVE, Codec
from ..codec.c_types import CTypes, Enum
from ..codec.struct import Struct, Union
from ..errors import CallError, LayoutError, MapError, StateError
from ..kernel.map_type import MapType
from ..libbpf.c_text import c_path
from ..libbpf.library import library, require
from ..libbpf.pin import pin_to, pinned_fd, unpin
from ..suggest import FixedAttributes
from .info import BPF_F_WRONLY, FIXES, IF_WRITE_ONLY, MapInfo, existing_map, info_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from typing_extensions import Self

    from ..owner import ObjectProgram, Owner

V = TypeVar("V")
ANY, NOEXIST, EXIST, LOCK = 0, 1, 2, 4  # BPF_ANY, BPF_NOEXIST, BPF_EXIST, BPF_F_LOCK of linux/bpf.h
# The types of map with a value for each CPU.
PER_CPU = frozenset((
    MapType.PERCPU_HASH, MapType.PERCPU_ARRAY, MapType.LRU_PERCPU_HASH, MapType.PERCPU_CGROUP_STORAGE,
))  # fmt: skip


class Map(FixedAttributes):
    """A map of any type: its attributes, which can be set before load, and its pins. Base of the typed maps."""

    _fixes: ClassVar[Mapping[int, str]] = {}  # hints by errno for this type of map, which precede FIXES

    name: str = ""
    _exclusive_program: ObjectProgram | None = None
    _is_reused = False  # by `reuse`
    _types: tuple[tuple[Any, ...], dict[str, Any]]  # that follow the owner and the name

    def __new__(cls, *arguments: Any, **named: Any) -> Self:
        """Keeps the types that the map is told, for `open`."""
        made = super().__new__(cls)
        made._types = (arguments[2:], named)
        return made

    def __init__(self, owner: Owner, name: str):
        self.name, self._owner = name, owner
        self._bpf_map = owner.find_map(name)
        owner.parts.append(self)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"

    def __reduce__(self) -> str:
        raise TypeError("a map can't be pickled or copied: it belongs to this process")

    @property
    def handle(self) -> int:
        """libbpf's struct bpf_map *. Raises StateError once the object is destroyed."""
        return self._owner.handle and self._bpf_map

    @property
    def fd(self) -> int:
        """The map's descriptor. Raises StateError before load, after destroy and for a map that wasn't created."""
        return self._require_fd()

    def _require_fd(self) -> int:
        """Returns the descriptor, as `fd` does. Raises StateError without one."""
        self._owner.require_loaded(f"the map {self.name}")
        found = self._owner.map_fd(self._bpf_map)
        if found < 0:
            raise StateError(f"the map {self.name} was not created", fix="set its autocreate = True before load")
        return found

    def fileno(self) -> int:
        """Returns the descriptor, for functions that take any object with one."""
        return self.fd

    @property
    def info(self) -> MapInfo:
        """The kernel's description of the map. Raises StateError before load."""
        with self._owner.lock:
            return info_of(self.fd)

    @property
    def id(self) -> int:
        """The kernel's id of the map (`bpftool map`). Raises StateError before load."""
        return self.info.id

    def _attribute(self, name: str) -> int:
        with self._owner.lock:
            return cast(int, self._owner.map_attribute(self._bpf_map, name))

    def _set_attribute(self, name: str, value: object) -> None:
        """Sets an attribute by libbpf's name for it. Raises StateError after load, MapError."""
        with self._owner.lock:
            self._owner.require_open(f"{name} of the map {self.name}")
            try:
                getattr(library(), f"bpf_map__set_{name}")(self.handle, value)
            except CallError as error:
                what = f"can't set {name} of the map {self.name} to {value!r}: {error.what}"
                raise MapError(what, fix="see what its type takes (linux/bpf.h)", errno=error.errno) from None

    @property
    def type(self) -> int:
        """The map's type, BPF_MAP_TYPE_* of linux/bpf.h. Settable before load to one with the same keys and values."""
        return self._attribute("type")

    @type.setter
    def type(self, number: int) -> None:
        """Sets the type before load. Raises MapError for one with other values, StateError after load."""
        if (number in PER_CPU) != (self.type in PER_CPU):
            what = f"the map {self.name} can't become one of type {number}: its values would be of another form"
            raise MapError(what, fix="change the type in the program")
        self._set_attribute("type", number)

    @property
    def key_size(self) -> int:
        """A key's size in bytes. Settable before load where keys are bytes."""
        return self._attribute("key_size")

    @key_size.setter
    def key_size(self, size: int) -> None:
        self._resize("key", size)

    @property
    def value_size(self) -> int:
        """A value's size in bytes; for one CPU if the map is per CPU. Settable before load where values are bytes."""
        return self._attribute("value_size")

    @value_size.setter
    def value_size(self, size: int) -> None:
        self._resize("value", size)

    def _resize(self, part: str, size: int) -> None:
        self._set_attribute(f"{part}_size", size)

    @property
    def max_entries(self) -> int:
        """The most entries that the map holds (a ring buffer: bytes). Settable before load; rings round up to pages."""
        return self._attribute("max_entries")

    @max_entries.setter
    def max_entries(self, entries: int) -> None:
        self._set_attribute("max_entries", entries)

    @property
    def map_flags(self) -> int:
        """The map's flags, BPF_F_* of linux/bpf.h. Settable before load."""
        return self._attribute("map_flags")

    @map_flags.setter
    def map_flags(self, flags: int) -> None:
        self._set_attribute("map_flags", flags)

    @property
    def map_extra(self) -> int:
        """An extra number for some types: a bloom filter's hashes, an arena's address. Settable before load."""
        return self._attribute("map_extra")

    @map_extra.setter
    def map_extra(self, value: int) -> None:
        self._set_attribute("map_extra", value)

    @property
    def numa_node(self) -> int:
        """The NUMA node of the map's memory, if map_flags has BPF_F_NUMA_NODE (4). Settable before load."""
        return self._attribute("numa_node")

    @numa_node.setter
    def numa_node(self, node: int) -> None:
        self._set_attribute("numa_node", node)

    @property
    def autocreate(self) -> bool:
        """True if `load` creates the map. Settable before load; a program that uses a missing map is refused."""
        return bool(self._attribute("autocreate"))

    @autocreate.setter
    def autocreate(self, wanted: bool) -> None:
        self._set_attribute("autocreate", wanted)

    @property
    def pin_path(self) -> str | None:
        """The path where `load` pins the map, or reuses the one pinned there; None for none. Settable before load."""
        path = cast("bytes | None", self._attribute("pin_path"))
        return os.fsdecode(path) if path else None

    @pin_path.setter
    def pin_path(self, path: str | os.PathLike[str] | None) -> None:
        self._set_attribute("pin_path", c_path(os.path.abspath(path)) if path is not None else None)

    @property
    def exclusive_program(self) -> ObjectProgram | None:
        """The only program that may use the map (Linux 6.18). Settable before load, to a program of the object.

        Raises MapError, StateError; LibraryError with libbpf older than 1.7.
        """
        return self._exclusive_program

    @exclusive_program.setter
    def exclusive_program(self, program: ObjectProgram) -> None:
        """Keeps the map for a program of the object. Raises MapError, StateError; LibraryError before libbpf 1.7."""
        require("1.7", "exclusive maps")
        self._set_attribute("exclusive_program", program.handle)
        self._exclusive_program = program

    def reuse(self, source: Any) -> None:
        """Makes `load` use an existing map, given as the path of its pin, a Map or a descriptor.

        Raises MapError for a missing map or one of another type, sizes or members, StateError after load.
        """
        path = source if isinstance(source, (str, os.PathLike)) else None
        fd = pinned_fd(path, "map", MapError) if path is not None else descriptor(source)
        try:
            self._require_alike(info_of(fd), f"can't reuse {source!r}")
            with self._owner.lock:
                self._owner.require_open(f"the map {self.name}")
                self._call_on(self.handle, "_reuse_fd", fd)
                self._is_reused = True
        finally:
            if path is not None:
                os.close(fd)

    def _require_alike(self, info: MapInfo, what: str) -> None:
        """Raises MapError, which begins with `what`, for a map of another type, other sizes or other members."""
        wanted, found = (self.type, self.key_size, self.value_size), (info.type, info.key_size, info.value_size)
        if found != wanted:
            what = f"{what} as the map {self.name}: (type, key_size, value_size) is {found}"
            raise MapError(f"{what}, not {wanted}", fix="give a map of the same declaration")
        with self._owner.lock:
            differs = self._owner.map_difference(self._bpf_map, info)
        if differs:
            fix = "give a map of the same declaration; bpfloader.open_map opens one with its own types"
            raise MapError(f"{what} as the map {self.name}: it has {differs}", fix=fix)

    def open(self, source: str | os.PathLike[str] | int) -> Self:
        """Opens a map that exists with this one's class and types: by its pin, its id or its name (see open_map).

        A skeleton's class has its maps for this, too: `Execs.maps.counts.open("/sys/fs/bpf/counts")`. Raises MapError
        for a missing map or one of another type, sizes or members, PrivilegeError.
        """
        from .standalone import standalone

        types, named = self._types

        def make(owner: Any, name: str) -> Any:
            self._require_alike(owner.info, f"can't open {source!r}")
            return type(self)(owner, name, *types, **named)

        opened: Self = standalone(existing_map(source), make)
        return opened

    def close(self) -> None:
        """Closes a map that was opened without an object. Raises StateError for a map of an object."""
        self._owner.close_map(self.name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def pin(self, path: str | os.PathLike[str]) -> None:
        """Pins the map at a path of a BPF file system, where it outlives this process. Raises MapError, StateError."""
        with self._owner.lock:
            pin_to(self.fd, path, f"the map {self.name}", MapError)

    def unpin(self, path: str | os.PathLike[str] | None = None) -> None:
        """Removes a pin, by default that of pin_path; the map lives on while it is used. Raises MapError."""
        where = self.pin_path if path is None else path
        if where is None:
            raise MapError(f"the map {self.name} has no pin_path", fix="say what to unpin: unpin(path)")
        unpin(where, f"the map {self.name}")

    def freeze(self) -> None:
        """Makes the map read-only for user space for ever; programs may still write. Raises MapError."""
        self._call("freeze")

    def _call(self, verb: str, *arguments: Any) -> None:
        """Calls bpf_map_<verb>. Raises KeyError for ENOENT, MapError for other errors."""
        with self._owner.lock:  # no other thread closes the descriptor meanwhile
            self._call_on(self._require_fd(), verb, *arguments)

    def _call_on(self, first: int, verb: str, *arguments: Any) -> None:
        try:
            getattr(library(), f"bpf_map_{verb}")(first, *arguments)
        except CallError as error:
            if error.errno == errno.ENOENT:
                raise KeyError from None
            fix = self._fixes.get(error.errno) or FIXES.get(error.errno, error.fix)
            if error.errno == errno.EPERM and self.map_flags & BPF_F_WRONLY:
                fix = IF_WRITE_ONLY
            raise MapError(f"{self.name}: {error.what}", fix=fix, errno=error.errno) from None

    def _loaded(self) -> None:
        """Does nothing; the object calls it once the map exists."""

    def _close(self) -> None:
        """Does nothing; the object calls it at destroy, for maps that hold memory. The object closes the descriptor."""


class ValuesMap(Map, Generic[V]):
    """A map with typed values and no typed keys; `value` is a generated class or a codec.

    Base of queues, bloom filters and local storage. Raises LayoutError for values of another size.
    """

    def __init__(self, owner: Owner, name: str, value: type[V] | Codec[V]):
        super().__init__(owner, name)
        self._value: Codec[V] = codec_of(value)
        if self.value_size != self._value.size:
            what = f"the map {name} has values of {self.value_size} bytes, their type has {self._value.size}"
            raise LayoutError(what, fix="generate the skeleton from this object")


def descriptor(source: Any) -> int:
    """Returns the descriptor of a map, a program or anything with a fileno, or the int given. Raises TypeError."""
    if hasattr(source, "fd") or hasattr(source, "fileno"):
        return cast(int, source.fd if hasattr(source, "fd") else source.fileno())
    if not isinstance(source, int) or isinstance(source, bool):
        raise TypeError(f"{source!r} is no descriptor and has none")
    return source


def codec_of(kind: Any) -> Codec[Any]:
    """Returns the codec of a generated class, or the codec given. Raises TypeError for anything else."""
    if isinstance(kind, Codec):
        return kind
    if isinstance(kind, type) and issubclass(kind, (Struct, Union)):
        return kind.codec
    if isinstance(kind, type) and issubclass(kind, Enum):
        c = CTypes(NATIVE)  # in C an enum without a negative value is unsigned
        return c.enum(kind, c.s32 if min(kind, default=0) < 0 else c.u32)
    if isinstance(kind, type) and hasattr(kind, "codec"):
        what = f"{kind!r} is of another copy of this loader"
        raise TypeError(f"{what}; call what that copy has: open_map, or the map's open")
    raise TypeError(f"{kind!r} is no type in C; give a class of a skeleton, or a codec such as native_endian.u32")
