"""Maps that have a value for each CPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ..codec.base import Codec
from ..errors import LayoutError
from ..libbpf.library import library
from .array import Indexed
from .base import codec_of
from .batch import Column
from .hash import KeyedMap

if TYPE_CHECKING:
    from ..owner import Owner

K = TypeVar("K")
V = TypeVar("V")
T = TypeVar("T")


class PerCpu(Codec[tuple[T, ...]], Generic[T]):
    """A tuple with one value for each possible CPU, each at a multiple of 8 bytes (bpf(2))."""

    def __init__(self, one: Codec[T]):
        self.element, step = one, (one.size + 7) // 8 * 8
        self.count: int = library().libbpf_num_possible_cpus()
        super().__init__(one.order, f"{step * self.count}s", self._of, self._bytes, f"{one.name} per CPU")
        self.stated, self.step, self.column = one.size, step, Column(one, step)

    def _of(self, item: bytes) -> tuple[T, ...]:
        return tuple(self.column(item))

    def _bytes(self, value: tuple[T, ...]) -> bytes:
        assert self.element
        return b"".join(self.element.pack(each).ljust(self.step, b"\0") for each in value)

    def pack(self, value: tuple[T, ...]) -> bytes:
        """The value's bytes. Raises LayoutError for what isn't one value for each CPU."""
        if not isinstance(value, (tuple, list)) or len(value) != self.count:
            fix = f"give a tuple of {self.count} values, one for each possible CPU"
            raise LayoutError(f"{value!r} doesn't fit {self.name}", fix=fix)
        return self._bytes(value)

    def body(self) -> tuple[str, Callable[[tuple[Any, ...]], tuple[T, ...]]]:
        """Numbers of all CPUs as the items of one row, which is the value; else what Codec has."""
        one = self.element
        assert one
        if one.decode or one.body()[0] != one.code:
            return super().body()
        return f"{one.code}{self.step - one.size}x" * self.count, tuple


class PerCpuHash(KeyedMap[K, tuple[V, ...]]):
    """A per-CPU hash, LRU or not: each value is a tuple, one element for each possible CPU."""

    _per_cpu = True

    def __init__(self, owner: Owner, name: str, key: type[K] | Codec[K], value: type[V] | Codec[V]):
        super().__init__(owner, name, codec_of(key), PerCpu(codec_of(value)))


class PerCpuArray(Indexed[tuple[V, ...]]):
    """A per-CPU array: each value is a tuple, one element for each possible CPU."""

    _per_cpu = True

    def __init__(self, owner: Owner, name: str, value: type[V] | Codec[V]):
        super().__init__(owner, name, PerCpu(codec_of(value)))
