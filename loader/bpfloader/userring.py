"""User ring buffers: records that go from Python to a program, which drains them by bpf_user_ringbuf_drain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

from .codec import Codec
from .maps import Map, codec_of

if TYPE_CHECKING:
    from .object import Object

T = TypeVar("T")


class UserRingBuffer(Map, Generic[T]):
    """A user ring buffer, its records typed. `record` is a generated class or a codec."""

    def __init__(self, owner: Object, name: str, record: type[T] | Codec[T]):
        super().__init__(owner, name)
        self._codec: Codec[T] = codec_of(record)
