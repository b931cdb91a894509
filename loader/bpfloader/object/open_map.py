"""Opens maps that exist without the object that made them, typed by the caller or by their own BTF."""

from __future__ import annotations

import errno
import os
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from ..codec.base import NATIVE
from ..codec.c_types import CTypes
from ..errors import CallError, LayoutError, MapError, PrivilegeError, errno_text
from ..kernel.kernel_btf import read_btf
from ..map.info import MapInfo, existing_map
from ..map.standalone import standalone
from .untyped import INDEX_MAPS, MapClass, map_class

if TYPE_CHECKING:
    from ..map.base import Map


def open_map(source: str | os.PathLike[str] | int, *types: Any) -> Any:
    """Opens a map that exists: by its pin (a path with a /, or a Path), by its name or by its id.

    Returns the same class as a skeleton would have: Hash, Array, RingBuffer … `types` are generated classes or codecs,
    in the order in which the class takes them: key and value, a value alone, or a ring's record. Without them keys and
    values have the types of the map's BTF; without BTF, and in rings, they are bytes. Close it, or leave its `with`;
    it is closed with the last reference to it as well. Raises MapError, PrivilegeError, LayoutError for types of other
    sizes, TypeError for another number of types.
    """

    def make(owner: Any, name: str) -> Map:
        return _make(owner, name, types)

    return standalone(existing_map(source), make)


def _make(owner: Any, name: str, types: tuple[Any, ...]) -> Map:
    """Makes the map of a Standalone. Raises as open_map does."""
    info: MapInfo = owner.info
    found = map_class(info.type, info.value_size)
    if types and len(types) != len(found.parameters):
        wanted = f"give its types ({' and '.join(found.parameters)}), or none" if found.parameters else "give no types"
        raise TypeError(f"{name} is {_article(found)}: {wanted}; {len(types)} given")
    try:
        made: Map = found.kind(owner, name, *(types or _own_types(info, found)))
    except LayoutError as error:
        raise LayoutError(error.what, fix="give the types that its program declares, or none") from None
    return made


def _article(found: MapClass) -> str:
    name = found.kind.__name__
    return f"{'an' if name[0] in 'AEIO' else 'a'} {name}"


def _own_types(info: MapInfo, found: MapClass) -> list[Any]:
    """Returns the types that the kernel tells of a map, for its class. Raises PrivilegeError, MapError."""
    c = CTypes(NATIVE)
    bare = c.u32 if info.value_size == 4 and info.type in INDEX_MAPS else c.raw(info.value_size)
    by_parameter = {"key": c.raw(info.key_size), "value": bare, "record": c.tail(), "inner": _make_by_own_types}
    if info.btf_id and {"key", "value"} & {*found.parameters}:
        numbers = info.btf_key_type_id, info.btf_value_type_id
        try:
            by_parameter.update(_btf_codecs(info.btf_id, *numbers, info.key_size, info.value_size))
        except CallError as error:
            what = f"the kernel doesn't tell the types of the map {info.name} ({errno_text(error.errno)})"
            fix = "give its types: open_map(path, Key, Value)"
            if error.errno == errno.EPERM:
                fix = f"run with CAP_SYS_ADMIN, or {fix}"
                raise PrivilegeError(what, fix=fix, errno=error.errno) from None
            raise MapError(what, fix=fix, errno=error.errno) from None
    return [by_parameter[part] for part in found.parameters]


def _make_by_own_types(owner: Any, name: str) -> Map:
    """Makes a map in a map, each of which has BTF of its own."""
    return _make(owner, name, ())


@lru_cache(maxsize=64)
def _btf_codecs(btf_id: int, key: int, value: int, key_size: int, value_size: int) -> dict[str, Any]:
    """Returns the codecs of key and value, by type ids and sizes in bytes; leaves out one that BTF doesn't tell.

    Remembered, so that maps of one declaration have the same classes, whose values compare. Raises CallError.
    """
    from ..btf.reader import Btf
    from .btf_types import BtfTypes

    btf = Btf(read_btf(btf_id), f"the id {btf_id}")
    types = BtfTypes(btf, max(key_size, value_size))
    rows = ("key", key, key_size), ("value", value, value_size)
    return {part: types.codec(number, part) for part, number, size in rows if number and btf.size(number) == size}
