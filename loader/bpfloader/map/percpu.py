"""Maps with a value for each CPU."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

from ..codec.base import Codec, ItemLayout
from ..errors import LayoutError
from ..libbpf.library import library
from .array import DenseArray
from .base import codec_of
from .batch import Column
from .hash import KeyedMap

if TYPE_CHECKING:
    from ..owner import Owner

K = TypeVar("K")
V = TypeVar("V")
T = TypeVar("T")


class PerCpuCodec(Codec[tuple[T, ...]], Generic[T]):
    """A tuple with one value for each possible CPU, each at a multiple of 8 bytes (bpf(2))."""

    def __init__(self, element: Codec[T]):
        self.element, stride = element, (element.size + 7) // 8 * 8
        self.count: int = library().libbpf_num_possible_cpus()
        name = f"{element.name} per CPU"
        super().__init__(element.order, f"{stride * self.count}s", self._decode, self._encode, name)
        self.value_size, self.stride, self.column = element.size, stride, Column(element, stride)

    def _decode(self, item: bytes) -> tuple[T, ...]:
        return tuple(self.column(item))

    def _encode(self, value: tuple[T, ...]) -> bytes:
        assert self.element
        return b"".join(self.element.pack(each).ljust(self.stride, b"\0") for each in value)

    def pack(self, value: tuple[T, ...]) -> bytes:
        """Returns the value's bytes. Raises LayoutError for anything but one value for each CPU."""
        if not isinstance(value, (tuple, list)) or len(value) != self.count:
            fix = f"give a tuple of {self.count} values, one for each possible CPU"
            raise LayoutError(f"{value!r} doesn't fit {self.name}", fix=fix)
        return self._encode(value)

    def item_layout(self) -> ItemLayout:
        """Returns Codec.item_layout; for plain numbers, codes with an item for each CPU, whose tuple is the value."""
        element = self.element
        assert element
        if element.decode or element.item_layout().codes != element.code:
            return super().item_layout()
        return ItemLayout(f"{element.code}{self.stride - element.size}x" * self.count, tuple)


class PerCpuHash(KeyedMap[K, tuple[V, ...]]):
    """A per-CPU hash, LRU or not: each value is a tuple, one element for each possible CPU."""

    _per_cpu = True

    def __init__(self, owner: Owner, name: str, key: type[K] | Codec[K], value: type[V] | Codec[V]):
        super().__init__(owner, name, codec_of(key), PerCpuCodec(codec_of(value)))


class PerCpuArray(DenseArray[tuple[V, ...]]):
    """A per-CPU array: each value is a tuple, one element for each possible CPU."""

    _per_cpu = True

    def __init__(self, owner: Owner, name: str, value: type[V] | Codec[V]):
        super().__init__(owner, name, PerCpuCodec(codec_of(value)))
