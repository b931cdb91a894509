"""Stack traces recorded by programs (bpf_get_stackid)."""

from __future__ import annotations

import errno
import struct as structs
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from ..codec.base import NATIVE, Codec
from ..errors import MapError, errno_text
from ..kernel.map_type import BPF_F_STACK_BUILD_ID
from ..symbols.kernel import kernel_frame
from .array import SparseArray
from .base import ANY

if TYPE_CHECKING:
    from ..owner import Owner

BUILD_ID = structs.Struct(NATIVE + "i20sQ")  # struct bpf_stack_build_id
BPF_STACK_BUILD_ID_EMPTY, BPF_STACK_BUILD_ID_VALID = 0, 1  # 2: only the address is known


# What the errors of bpf_get_stackid mean (kernel/bpf/stackmap.c).
FAILURES = {
    errno.EFAULT: "there was no such stack, as a kernel thread has none of user space",
    errno.EEXIST: "another stack has its place: raise max_entries before load",
    errno.ENOMEM: "the map is full: raise max_entries before load",
}


class Frame(NamedTuple):
    """A frame of a user stack: a file's build id and the offset in the file; build_id None, offset the address."""

    build_id: bytes | None
    offset: int


def _failure(stack_id: int) -> int:
    """Returns the errno that is in a stack id, negative or as a __u32 has it; 0 for a real id."""
    number = (1 << 32) - stack_id if stack_id > 0 else -stack_id
    return number if 0 < number < 4096 else 0  # MAX_ERRNO of linux/err.h


def _lost(number: int) -> tuple[str, ...]:
    """Returns the frames of a stack that bpf_get_stackid failed to record."""
    return () if number == errno.EFAULT else (f"[stack lost: {errno.errorcode.get(number, number)}]",)


def _addresses(item: bytes) -> tuple[int, ...]:
    """Returns the addresses before the first 0; zeros fill the rest."""
    found: tuple[int, ...] = structs.unpack(f"{NATIVE}{len(item) // 8}Q", item)
    return found[: found.index(0)] if 0 in found else found


def _frames(item: bytes) -> tuple[Frame, ...]:
    rows = BUILD_ID.iter_unpack(item)
    return tuple(
        Frame(build_id if status == BPF_STACK_BUILD_ID_VALID else None, offset)
        for status, build_id, offset in rows
        if status != BPF_STACK_BUILD_ID_EMPTY
    )


class StackTrace(SparseArray[Any]):
    """Stack traces by the ids that bpf_get_stackid returned: tuples of addresses, the innermost first.

    With BPF_F_STACK_BUILD_ID in map_flags, tuples of Frame. Only programs add them; `del` and `clear` make room.
    """

    _batch_writes = False

    def __init__(self, owner: Owner, name: str):
        super().__init__(owner, name, self._codec(owner.map_attribute(owner.find_map(name), "value_size")))

    def _codec(self, size: int) -> Codec[Any]:
        return Codec(NATIVE, f"{size}s", self._decode, name="stack trace")

    def _decode(self, item: bytes) -> tuple[Any, ...]:
        return _frames(item) if self.map_flags & BPF_F_STACK_BUILD_ID else _addresses(item)

    def _resize(self, part: str, size: int) -> None:
        """Sets the depth of traces: a multiple of 8 bytes, of 32 with BPF_F_STACK_BUILD_ID."""
        self._set_attribute(f"{part}_size", size)
        self._value = self._codec(self.value_size)

    def put(self, key: int, value: Any, flags: int = ANY) -> None:
        """Raises MapError: only programs can add stack traces."""
        raise MapError(f"{self.name} takes no stack traces from here", fix="add them in a program: bpf_get_stackid")

    def lookup(self, key: int, flags: int = ANY) -> Any:
        """Returns a stack. Raises KeyError, which names the errno where the id is what bpf_get_stackid failed with."""
        if number := _failure(key):
            why = FAILURES.get(number, "see bpf-helpers(7)")
            raise KeyError(f"{key} is no stack but an error of bpf_get_stackid ({errno_text(number)}): {why}")
        return super().lookup(key, flags)

    def walk(self, stack_id: int) -> Iterator[int]:
        """Yields the addresses of a stack trace; for code that comes from bcc. Raises KeyError."""
        return iter(self[stack_id])

    def _plain(self, stack_id: int) -> tuple[int, ...]:
        if self.map_flags & BPF_F_STACK_BUILD_ID:
            fix = "leave BPF_F_STACK_BUILD_ID out; the kernel has no build ids of its own stacks"
            raise MapError(f"{self.name} holds build ids, no addresses", fix=fix)
        found: tuple[int, ...] = self[stack_id]
        return found

    def symbols(self, stack_id: int, *, offset: bool = True) -> tuple[str, ...]:
        """Returns the frames of a kernel stack by name, `tcp_connect+0x1f`. Raises KeyError, PrivilegeError.

        For an id that is an error of bpf_get_stackid: nothing where there was no such stack (EFAULT), else one frame
        that says so, `[stack lost: EEXIST]`.
        """
        if number := _failure(stack_id):
            return _lost(number)
        stack = self._plain(stack_id)
        return tuple(kernel_frame(address, number > 0, offset) for number, address in enumerate(stack))

    def user_symbols(self, stack_id: int, pid: int, *, offset: bool = True) -> tuple[str, ...]:
        """Returns the frames of a process's user stack (BPF_F_USER_STACK) by name, as user_symbol. Raises KeyError.

        With BPF_F_STACK_BUILD_ID the files are found by their build ids, among those that the process has mapped. An id
        that is an error gives what `symbols` does.
        """
        if number := _failure(stack_id):
            return _lost(number)
        from ..symbols.user import symbols_by_build_id, user_symbols

        if self.map_flags & BPF_F_STACK_BUILD_ID:
            return symbols_by_build_id(self[stack_id], pid, offset=offset)
        return user_symbols(self[stack_id], pid, offset=offset, stack=True)
