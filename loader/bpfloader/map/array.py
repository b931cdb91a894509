"""Arrays: mappings from indexes to values, and the memory of arrays that the kernel shares."""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar, overload

from ..codec.base import NATIVE, PLAIN, Codec, Field
from ..codec.c_types import CTypes
from ..codec.struct import Place, bind
from ..errors import LayoutError, MapError
from ..kernel.map_type import BPF_F_MMAPABLE
from .base import codec_of
from .batch import Column
from .hash import KeyedMap
from .shared import mapping

if TYPE_CHECKING:
    from ..owner import Owner

V = TypeVar("V")


class DenseArray(KeyedMap[int, V]):
    """A map with the keys 0 … max_entries - 1, all of which always exist. Base of Array and PerCpuArray."""

    def __init__(self, owner: Owner, name: str, value: Codec[V]):
        super().__init__(owner, name, CTypes(value.order).u32, value)

    def __len__(self) -> int:
        return self.max_entries

    def _discard(self, packed: bytes) -> NoReturn:
        raise MapError(f"{self.name} is an array, whose elements can't be deleted", fix="set the element to zero")

    _lookup_and_delete = _discard

    def clear(self) -> None:
        """Sets all elements to zero, since they can't be deleted."""
        self.update((key, self._value.zero()) for key in range(self.max_entries))


class SparseArray(KeyedMap[int, V]):
    """A map with keys among 0 … max_entries - 1, which exist once they are set. Base of arrays of kernel objects."""

    def __init__(self, owner: Owner, name: str, value: Codec[V]):
        super().__init__(owner, name, CTypes(NATIVE).u32, value)


class Array(DenseArray[V]):
    """An array: a mapping from its indexes. `value` is a generated class or a codec."""

    _mapped: Elements[V] | None = None

    def __init__(self, owner: Owner, name: str, value: type[V] | Codec[V]):
        super().__init__(owner, name, codec_of(value))

    @property
    def memory(self) -> memoryview:
        """The kernel's memory of all elements, each at a multiple of 8 bytes; writable unless the map is frozen.

        It stays valid as long as anything refers to it, even after destroy. Raises MapError unless map_flags has
        BPF_F_MMAPABLE, StateError before load and after destroy.
        """
        return self.elements.memory

    @property
    def elements(self) -> Elements[V]:
        """The elements in that memory, read and written without a system call. Raises as `memory` does."""
        with self._owner.lock:
            fd = self.fd
            if self._mapped is None:
                self._mapped = Elements(self._map(fd), self._value, self.max_entries)
            return self._mapped

    def _map(self, fd: int) -> memoryview:
        if not self.map_flags & BPF_F_MMAPABLE:
            what = f"the array {self.name} can't be mapped"
            raise MapError(what, fix="declare it with __uint(map_flags, BPF_F_MMAPABLE), or set it before load")
        stride = (self._value.size + 7) // 8 * 8
        size = -(-stride * self.max_entries // mmap.PAGESIZE) * mmap.PAGESIZE
        with mapping(f"the array {self.name}"):
            try:
                whole = mmap.mmap(fd, size)
            except PermissionError:  # frozen
                whole = mmap.mmap(fd, size, prot=mmap.PROT_READ)
        return memoryview(whole)[: stride * self.max_entries]

    def _close(self) -> None:
        self._mapped = None


class Elements(Sequence[V], Generic[V]):
    """The elements of a mapped array. Each access copies, and may copy a value that a program has half written.

    A member that is set in an element which was read by its index is set in the memory, too.
    """

    def __init__(self, memory: memoryview, codec: Codec[V], count: int):
        self.memory, self._codec, self._count = memory, codec, count
        self._stride = len(memory) // count

    def __len__(self) -> int:
        return self._count

    def _offset(self, index: int) -> int:
        if not -self._count <= index < self._count:
            raise IndexError(f"there is no element {index}: the array has {self._count}")
        return index % self._count * self._stride

    @overload
    def __getitem__(self, index: int) -> V: ...

    @overload
    def __getitem__(self, index: slice) -> list[V]: ...

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(self._count))]
        offset = self._offset(index)
        value = self._codec.unpack(self.memory, offset)
        return value if type(value) in PLAIN else bind(value, self._codec, Place(self, offset, f"element {index}"))

    def _write(self, field: Field[Any], value: Any) -> None:
        """Writes a member of an element that was read by its index."""
        field.store("elements", self.memory, value)

    def __setitem__(self, index: int, value: V) -> None:
        """Sets an element. Raises LayoutError for a value that doesn't fit, TypeError for a frozen map."""
        self._codec.store(self.memory, self._offset(index), value)

    def __iter__(self) -> Iterator[V]:
        column = Column(self._codec, self._stride)
        return iter(list(column(bytes(self.memory))))

    def numpy(self) -> Any:
        """Returns a numpy array on the memory itself, which shows programs' writes at once.

        Raises LibraryError without numpy, LayoutError for structs with bitfields.
        """
        from ..codec.numpy_records import ArrayDecoder

        decoder = ArrayDecoder(self._codec, 0, self._stride)
        if decoder.bits:
            raise LayoutError(
                f"{self._codec.name} has bitfields, which no array on memory has", fix="take batch(numpy=True)"
            )
        rows = decoder.numpy.frombuffer(self.memory, decoder.numpy.dtype(f"V{self._stride}"))
        fields = {"names": ["value"], "formats": [decoder.memory], "offsets": [0], "itemsize": self._stride}
        return rows.view(decoder.numpy.dtype(fields))["value"]
