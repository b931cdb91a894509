"""Global variables: the sections .rodata, .data and .bss, each with a typed attribute for each variable."""

from __future__ import annotations

import ctypes
import mmap
from typing import TYPE_CHECKING, Any, TypeVar

from ..codec.base import Field
from ..codec.struct import Place, bind
from ..errors import CallError, StateError
from ..kernel.map_type import BPF_F_MMAPABLE, BPF_F_RDONLY_PROG
from ..libbpf.library import library, require
from ..map.shared import mapping
from ..suggest import FixedAttributes

if TYPE_CHECKING:
    from ..owner import Owner

T = TypeVar("T")


class Section(FixedAttributes):
    """A data section. Before load its attributes are initial values; after load, the programs' variables.

    Constants (.rodata) can be set before load only, since the verifier prunes by them. Base of the generated classes.
    """

    def __init__(self, owner: Owner, name: str):
        self._owner, self._name, self._constant = owner, name, False
        try:
            self._map = library().bpf_object__find_map_by_name(owner.handle, name.encode())
        except CallError:
            require("1.1" if name.startswith(".bss.") else "1.0", f'SEC("{name}")')
            raise
        size = ctypes.c_size_t()
        address = library().bpf_map__initial_value(self._map, ctypes.byref(size))
        self._view = memoryview((ctypes.c_char * size.value).from_address(address)).cast("B")
        owner.parts.append(self)

    def __repr__(self) -> str:
        names = (name for name, field in vars(type(self)).items() if isinstance(field, Field))
        return f"<{type(self).__name__}: {', '.join(names)}>"

    def _error_name(self) -> str:
        return self._name

    def _loaded(self) -> None:
        """Switches from the initial values to the map's memory; libbpf before 1.5 keeps the two apart after load."""
        flags, size = library().bpf_map__map_flags(self._map), len(self._view)
        self._constant = bool(flags & BPF_F_RDONLY_PROG)
        if self._constant:
            self._view = memoryview(bytes(self._view))
        elif flags & BPF_F_MMAPABLE:
            with mapping(self._name):
                self._view = memoryview(mmap.mmap(library().bpf_map__fd(self._map), size, mmap.MAP_SHARED))
        else:
            self._view = memoryview(b"")

    def _close(self) -> None:
        """Releases the memory, which libbpf frees with the object."""
        self._view.release()

    def _read(self, offset: int, size: int) -> bytes:
        with self._owner.lock:  # no other thread frees the memory meanwhile
            return bytes(self._memory()[offset : offset + size])

    def _bind(self, value: T, field: Field[T]) -> T:
        """Has a struct write its members where it was read."""
        return bind(value, field.codec, Place(self, field.offset, field.name))

    def _write(self, field: Field[T], value: T) -> None:
        with self._owner.lock:
            view = self._memory()
            if self._constant:
                raise StateError(f"{self._name} is constant after load", fix="set it between open and load")
            field.store(self._name, view, value)

    def _memory(self) -> memoryview:
        if not (self._owner.handle and self._view):  # `handle` raises StateError after destroy
            raise StateError(
                f"{self._name} can't be read after load", fix="use a kernel that maps it (Linux 5.5 or newer)"
            )
        return self._view


class Kconfig(Section):
    """The kernel's configuration (`extern int CONFIG_HZ __kconfig;`), read-only, which libbpf reads at load."""

    def _memory(self) -> memoryview:
        if not self._constant:
            self._owner.require_loaded("the kernel's configuration")
        return super()._memory()

    def _write(self, field: Field[T], value: T) -> None:
        raise StateError("the kernel's configuration can't be set", fix='open(kconfig={"CONFIG_HZ": 250}) overrides it')


class SectionOwner:
    """Protects an object's variables from being set on the object. A base of Object."""

    if not TYPE_CHECKING:  # see suggest.FixedAttributes

        def __setattr__(self, name: str, value: Any) -> None:
            """Sets any attribute but one with a variable's name, which was meant for the variable's section."""
            for part in () if name[0] == "_" else getattr(self, "parts", ()):
                if isinstance(part, Section) and isinstance(getattr(type(part), name, None), Field):
                    raise AttributeError(f"{name} is a variable of {part._error_name()}; set it there")
            object.__setattr__(self, name, value)
